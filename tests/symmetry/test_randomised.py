"""The network with random weights on which symmetries are proved takes ordinary networks of all kinds."""

import pytest
import torch
from torch import nn

from raysweep.errors import SpecError
from raysweep.symmetry import PermutationSpec
from tests.pretended_device import DEVICE, pretended_device
from tests.symmetry.test_refusals import Between

VECTORS = torch.zeros(2, 4)


def test_symmetries_are_those_of_the_cpu_on_any_device():
    """A buffer, a constant and the example lie there too; the units of the linear layers have rotations."""
    expected = Between(lambda net, x: net.norm(x) * net.constant, norm=nn.BatchNorm1d(6, affine=False))
    expected.constant = torch.full((6,), 2.0)
    specs = [_with_all(expected, VECTORS)]
    with pretended_device():
        moved = Between(expected.function, norm=nn.BatchNorm1d(6, affine=False)).to(DEVICE)
        moved.load_state_dict({n: t.to(DEVICE) for n, t in expected.state_dict().items()}, assign=True)
        moved.constant = expected.constant.to(DEVICE)
        specs.append(_with_all(moved, VECTORS.to(DEVICE)))
    assert specs[0] == specs[1]
    assert specs[0].scalings


@pytest.mark.parametrize("kind", [torch.bool, torch.int64])
def test_equal_integers_need_no_effect(kind):
    """They are not drawn, and every order of them is the same."""
    model = Between(lambda net, x: torch.relu(x) * net.mask)
    model.register_buffer("mask", torch.ones(6, dtype=kind))
    spec = PermutationSpec.trace(model, VECTORS)
    assert spec.sizes == {"first": 6}
    assert spec.buffers == {"mask"}


def test_networks_without_gradients_are_proved_and_have_no_scales():
    def written(net, x):
        torch.add(x, 1.0, out=torch.zeros_like(x))
        return torch.relu(x)

    model = Between(written)
    spec = PermutationSpec.trace(model, VECTORS)
    assert spec.sizes == {"first": 6}
    with pytest.raises(SpecError, match="found by gradients, which this network does not have: RuntimeError"):
        spec.with_scalings(model, VECTORS)


def _with_all(model, example):
    spec = PermutationSpec.trace(model, example)
    return spec.with_scalings(model, example).with_rotations(model, example)
