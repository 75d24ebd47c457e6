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


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.between = nn.Parameter(torch.ones(6, 6, dtype=torch.complex64))

    def forward(self, x):
        hidden = torch.tanh(self.first(x)).to(torch.complex64) @ self.between
        return self.last(torch.relu(hidden.real)), hidden.imag.sum(1), None


def masking(value):
    """A network with a class that is left out."""
    model = Between(lambda net, x: torch.tanh(x))
    return nn.Sequential(model, Masked(value))


class Masked(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return x.masked_fill(torch.tensor([False, False, True]), self.value)


def test_vectors_of_several_axes_are_positive_where_they_have_to_be():
    model = nn.Sequential(nn.Conv2d(1, 6, 1), Scaled(), nn.ReLU(), nn.Conv2d(6, 2, 1))
    spec = PermutationSpec.trace(model, torch.zeros(2, 1, 2, 2))
    assert (spec.sizes, spec.buffers) == ({"0": 6}, {"1.variance"})


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("variance", torch.ones(1, 6, 1, 1))

    def forward(self, x):
        return x / self.variance.sqrt()


def test_complex_weights_and_outputs_of_several_kinds():
    model = Complex()
    spec = _with_all(model, VECTORS)
    assert spec.sizes == {"first": 6}
    assert spec.scalings["first"].sign
    assert not spec.rotations


def test_constants_are_as_precise_as_the_weights():
    model = Between(lambda net, x: torch.relu(net.second(torch.relu(x) @ net.constant)), last=nn.Linear(5, 3))
    model.constant, model.second = torch.arange(12.0).view(6, 2), nn.Linear(2, 5)
    assert PermutationSpec.trace(model, VECTORS).sizes == {"second": 5}


@pytest.mark.parametrize("value", [-1e9, -torch.inf])
def test_masked_outputs_hide_no_change_of_the_others(value):
    spec = _with_all(masking(value), VECTORS)
    (scaling,) = spec.scalings.values()
    assert (scaling.positive, scaling.sign) == (False, True)
    assert not spec.rotations


def test_tokens_that_are_all_the_same_are_varied():
    layer = nn.TransformerEncoderLayer(6, 2, 5, batch_first=True, dropout=0.0)
    model = nn.Sequential(nn.Embedding(3, 6), layer, nn.Flatten(), nn.Linear(24, 2))
    assert len(PermutationSpec.trace(model, torch.zeros(2, 4, dtype=torch.int64)).sizes) == 4


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
