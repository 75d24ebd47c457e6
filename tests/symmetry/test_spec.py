import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from raysweep.errors import SpecError
from raysweep.models.build import build
from raysweep.symmetry import Permutation, PermutationSpec, prove
from tests.conftest import mlp

EXAMPLE = torch.zeros(2, 1, 8, 8)


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_spec_is_proved_and_leaves_outputs_unchanged(norm):
    model = build(mlp(norm=norm)).double()
    spec = PermutationSpec.trace(model.float(), EXAMPLE)
    prove(spec, model, EXAMPLE)
    assert list(spec.sizes.values()) == [16, 16, 16]
    model = model.double()
    images = torch.randn(5, 1, 8, 8, dtype=torch.float64)
    moved = spec.apply(spec.random(torch.Generator().manual_seed(1)), model.state_dict())
    torch.testing.assert_close(torch.func.functional_call(model, moved, (images,)), model(images))


def test_wrong_spec_fails_its_proof():
    model = build(mlp())
    spec = PermutationSpec.trace(model, EXAMPLE)
    axes = dict(spec.axes)
    name = next(name for name in axes if name.endswith("3.weight"))
    axes[name] = (axes[name][0], None)
    with pytest.raises(SpecError, match="reordering its units changes"):
        prove(PermutationSpec(axes, spec.sizes, spec.buffers), model, EXAMPLE)


def test_unknown_module_is_named():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Softmax(dim=1), nn.Linear(8, 10))
    with pytest.raises(SpecError, match=r"2 \(Softmax\)"):
        PermutationSpec.trace(model, EXAMPLE)


@given(st.integers(0, 2**31), st.integers(1, 20))
@settings(deadline=None, max_examples=30)
def test_algebra(seed, size):
    generator = torch.Generator().manual_seed(seed)
    sizes = {"a": size, "b": size + 1}
    p, q, r = (Permutation.random(sizes, generator) for _ in range(3))

    def same(one, other):
        return all(torch.equal(one.indices[g], other.indices[g]) for g in sizes)

    assert same(p.compose(p.inverse()), Permutation.identity(sizes))
    assert same(p.compose(q).compose(r), p.compose(q.compose(r)))
    assert Permutation.identity(sizes).fixed_points() == {"a": 1.0, "b": 1.0}
