import pytest
import torch

from raysweep.alignment import embed, weight_matching
from raysweep.alignment.weight_matching import objective
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import PermutationSpec
from tests.conftest import mlp


def spec_and_state(model, width, seed=0, norm="none"):
    config = ModelConfig(model, width, None, norm, (1, 8, 8), 10)
    spec = PermutationSpec.trace(build(config), torch.zeros(2, 1, 8, 8))
    return spec, initialised(config, "pytorch", seed).state_dict()


@pytest.mark.parametrize("model", ["mlp", "lenet", "vgg11", "resnet20"])
def test_a_part_of_a_wide_network_is_found(model):
    narrow_spec, like = spec_and_state(model, 6)
    wide_spec, wide = spec_and_state(model, 12)
    generator = torch.Generator().manual_seed(0)
    hidden = {g: i[: narrow_spec.sizes[g]] for g, i in wide_spec.random(generator).indices.items()}
    found = embed(narrow_spec, wide_spec, like, wide, seed=0)
    narrow = type(found)(hidden, 0.0, 0.0, 0).select(wide_spec, wide)
    assert {name: t.shape for name, t in narrow.items()} == {name: t.shape for name, t in like.items()}
    found = embed(narrow_spec, wide_spec, narrow, wide, seed=0)
    part = found.select(wide_spec, wide)
    assert all(len(index.unique()) == len(index) for index in found.indices.values())
    assert found.objective == objective(
        narrow, part, [n for n in narrow_spec.axes if n not in narrow_spec.buffers]
    )
    assert all(torch.equal(part[name], narrow[name]) for name in narrow)


def test_equal_widths_are_a_permutation(trained):
    spec = PermutationSpec.trace(build(mlp()), torch.zeros(2, 1, 8, 8))
    square = weight_matching(spec, trained[0], trained[1], seed=0, order="forward")
    found = embed(spec, spec, trained[0], trained[1], seed=0)
    assert found.objective >= square.objective * (1 - 0.05)
    assert all(sorted(index.tolist()) == list(range(16)) for index in found.indices.values())


def test_errors():
    (six, small), (twelve, large) = spec_and_state("mlp", 6), spec_and_state("mlp", 12)
    with pytest.raises(ValueError, match="12 units"):
        embed(twelve, six, large, small, seed=0)
    with pytest.raises(ValueError, match="more than their widths"):
        embed(six, spec_and_state("lenet", 12)[0], small, large, seed=0)
    with pytest.raises(ValueError, match="unknown order 'upward'; valid: random, forward, backward"):
        embed(six, twelve, small, large, seed=0, order="upward")
    with pytest.raises(ValueError, match="expected 12 entries"):
        embed(six, twelve, small, small, seed=0)


def test_options_of_weight_matching():
    (six, small), (twelve, large) = spec_and_state("mlp", 6), spec_and_state("mlp", 12, seed=1)
    once, several = (embed(six, twelve, small, large, seed=0, restarts=n) for n in (1, 5))
    assert several.objective >= once.objective
    assert several.iterations > once.iterations
    shifted = {n: t + 100 * torch.arange(len(t)) if t.dim() == 1 else t for n, t in large.items()}
    without = [embed(six, twelve, small, wide, seed=0, biases=False) for wide in (large, shifted)]
    assert without[0].objective == without[1].objective
