"""Scales and signs of hidden units: found from the network, and proved by what it computes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.symmetry import Permutation, PermutationSpec
from tests.symmetry.monomials import mlp, random_monomial, random_state

IMAGES = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
BEFORE_RELU = {("0.weight", 0): 1, ("0.bias", 0): 1, ("2.weight", 1): -1}


def found(model: nn.Module, images: torch.Tensor = IMAGES) -> PermutationSpec:
    return PermutationSpec.trace(model, images).with_scalings(model, images)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.PReLU])
def test_units_before_a_relu_have_positive_scales(activation):
    scaling = found(mlp(activation)).scalings["0"]
    assert (scaling.exponents, scaling.positive, scaling.sign) == (BEFORE_RELU, True, False)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.Softsign, nn.Hardshrink])
def test_units_before_an_odd_activation_have_signs(activation):
    scaling = found(mlp(activation)).scalings["0"]
    assert set(scaling.exponents) == set(BEFORE_RELU)
    assert (scaling.positive, scaling.sign) == (False, True)


def test_units_of_linear_networks_have_both():
    both = found(mlp(nn.Identity)).scalings["0"]
    assert both.positive
    assert both.sign


@pytest.mark.parametrize("width", [2, 3, 8])
@pytest.mark.parametrize("activation", [nn.ReLU6, nn.Hardswish, nn.GELU, nn.SiLU, nn.ELU])
def test_units_before_an_activation_that_bends_have_none(activation, width):
    assert not found(mlp(activation, width=width), IMAGES[:2]).scalings


def test_units_before_a_bound_on_both_sides_have_signs_alone():
    for width in (2, 3, 8):
        scalings = found(mlp(nn.Hardtanh, width=width), IMAGES[:2]).scalings.values()
        assert [(each.positive, each.sign) for each in scalings] == [(False, True)] * 3


class Clamp(nn.Module):
    """Its bounds are out of the reach of random weights."""

    def __init__(self, *bounds):
        super().__init__()
        self.bounds = bounds

    def forward(self, x):
        return x.clamp(*self.bounds)


BOUNDS = {
    (-20, 20): [(False, True)],
    (-20, 30): [],
    (None, 20): [],
    (0, 1000): [],
    (0, None): [(True, False)],
}


@pytest.mark.parametrize("bounds", BOUNDS)
def test_bounds_that_random_units_do_not_reach_are_known(bounds):
    """Units have signs between equal bounds, scales above 0, and never rotations."""
    model = nn.Sequential(nn.Linear(6, 8), Clamp(*bounds), nn.Linear(8, 3))
    spec = found(model).with_rotations(model, IMAGES)
    assert spec.bounded == {"0"}
    assert [(each.positive, each.sign) for each in spec.scalings.values()] == BOUNDS[bounds]
    assert not spec.rotations


def test_all_units_of_a_narrow_resnet_have_scales():
    model, images = build(ModelConfig("resnet20", 2, None, "none", (3, 2, 2), 10)), torch.zeros(2, 3, 2, 2)
    spec = PermutationSpec.trace(model, images, proved=False).with_scalings(model, images)
    assert {group for group, each in spec.scalings.items() if each.positive} == spec.sizes.keys()


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.BatchNorm1d])
def test_behind_a_norm_its_scale_and_bias_take_the_factors(norm):
    scaling = found(mlp(nn.ReLU, norm)).scalings["0"]
    assert scaling.exponents == {("1.weight", 0): 1, ("1.bias", 0): 1, ("3.weight", 1): -1}
    assert found(mlp(nn.Tanh, norm)).scalings["0"].sign


def test_convolutions_and_residual_streams():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(2, 5, 3, padding=1), nn.Linear(5 * 16, 3)
            self.inner, self.outer = nn.Conv2d(5, 4, 3, padding=1), nn.Conv2d(4, 5, 1)

        def forward(self, x):
            x = self.first(x)
            x = x + self.outer(self.inner(x).relu())
            return self.last(x.relu().flatten(1))

    model, images = Residual(), torch.randn(2, 2, 4, 4)
    scalings = found(model, images).scalings
    stream = {("first.weight", 0): 1, ("first.bias", 0): 1, ("inner.weight", 1): -1, ("last.weight", 1): -1}
    assert scalings["first"].exponents == {**stream, ("outer.weight", 0): 1, ("outer.bias", 0): 1}
    assert set(scalings) == {"first", "inner"}


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**31), st.sampled_from([nn.ReLU, nn.Tanh, nn.Identity]))
def test_monomial_matrices_leave_the_function_and_form_a_group(seed, activation):
    generator = torch.Generator().manual_seed(seed)
    model = mlp(activation).double()
    spec = found(model, IMAGES.double())
    state = random_state(model, generator)
    one, other = random_monomial(spec, generator), random_monomial(spec, generator)

    def outputs(weights):
        return torch.func.functional_call(model, weights, (IMAGES.double(),))

    moved = spec.apply(one, state)
    torch.testing.assert_close(outputs(moved), outputs(state), rtol=1e-9, atol=1e-9)
    in_turn, at_once = spec.apply(other, moved), spec.apply(other.compose(one), state)
    back = spec.apply(one.inverse(), moved)
    for name in state:
        torch.testing.assert_close(in_turn[name], at_once[name])
        torch.testing.assert_close(back[name], state[name])


def test_factors_that_change_the_function_are_refused():
    model = mlp(nn.ReLU)
    spec, state = found(model), model.state_dict()
    identity = Permutation.identity(spec.sizes)
    with pytest.raises(ValueError, match="group 0: the network is not the same with other signs"):
        spec.apply(Permutation(identity.indices, {"0": -torch.ones(8)}), state)
    tanh = found(mlp(nn.Tanh))
    with pytest.raises(ValueError, match="group 0: the network is not the same with other scales"):
        tanh.apply(Permutation(identity.indices, {"0": 2 * torch.ones(8)}), state)
    plain = PermutationSpec.trace(model, IMAGES)
    with pytest.raises(ValueError, match="group 0: no scales or signs of its units are known"):
        plain.apply(Permutation(identity.indices, {"0": torch.ones(8)}), state)
    with pytest.raises(ValueError, match="group 0: a factor is zero or not finite"):
        Permutation(identity.indices, {"0": torch.zeros(8)})
    with pytest.raises(ValueError, match="group 0: its factors do not fit its units"):
        Permutation(identity.indices, {"0": torch.ones(7)})


def test_weights_under_two_names_are_scaled_alike():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.one, self.other = nn.Linear(6, 8), nn.Linear(8, 3), nn.Linear(8, 3)
            self.other.weight = self.one.weight

        def forward(self, x):
            hidden = self.first(x).relu()
            return self.one(hidden) + self.other(2 * hidden)

    model = Tied()
    spec = found(model)
    drawn, state = random_monomial(spec, torch.Generator().manual_seed(0)), model.state_dict()
    moved = spec.apply(drawn, state)
    assert torch.equal(moved["one.weight"], moved["other.weight"])
    assert not torch.equal(moved["one.weight"], state["one.weight"])
