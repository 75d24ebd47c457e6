"""Weight matching with scales and signs undoes what leaves the function of a network as it is."""

import pytest
import torch
from torch import nn

from raysweep.alignment.monomial_matching import canonical_scales, monomial_matching
from raysweep.alignment.weight_matching import weight_matching
from raysweep.symmetry import PermutationSpec
from raysweep.symmetry.scaling import scaled_state
from tests.symmetry.monomials import mlp, random_monomial, random_state

IMAGES = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


def network(activation, norm, seed):
    model = mlp(activation, norm)
    spec = PermutationSpec.trace(model, IMAGES).with_scalings(model, IMAGES)
    return spec, random_state(model, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("norm", [None, nn.LayerNorm, nn.BatchNorm1d])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Identity])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_known_monomial_matrix_is_undone(activation, norm, seed):
    spec, state = network(activation, norm, seed)
    moved = spec.apply(random_monomial(spec, torch.Generator().manual_seed(seed)), state)
    back = spec.apply(monomial_matching(spec, state, moved).permutation, moved)
    for name in state:
        torch.testing.assert_close(back[name], state[name], rtol=1e-5, atol=1e-5)


def test_the_result_is_the_same_for_rescaled_networks():
    spec, one = network(nn.ReLU, None, 2)
    _, other = network(nn.ReLU, None, 3)
    drawn = random_monomial(spec, torch.Generator().manual_seed(4))
    rescaled = scaled_state(other, spec.axes, spec.scalings, drawn.factors)
    found, again = monomial_matching(spec, one, other), monomial_matching(spec, one, rescaled)
    assert again.objective == pytest.approx(found.objective)
    for group in spec.sizes:
        assert torch.equal(found.permutation.indices[group], again.permutation.indices[group])


def test_canonical_scales_have_the_least_sum_of_squares():
    spec, state = network(nn.ReLU, None, 5)
    names = [name for name in spec.axes if name not in spec.buffers]

    def squares(factors):
        scaled = scaled_state(state, spec.axes, spec.scalings, factors)
        return sum(scaled[name].double().square().sum().item() for name in names)

    best = canonical_scales(spec, state)
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        near = {g: f * (0.01 * torch.randn(len(f), generator=generator)).exp() for g, f in best.items()}
        assert squares(best) < squares(near)


def test_signs_raise_the_objective_and_without_scalings_it_is_weight_matching():
    spec, one = network(nn.Tanh, None, 6)
    _, other = network(nn.Tanh, None, 7)
    plain = weight_matching(spec, one, other, seed=0)
    signed = monomial_matching(spec, one, other)
    assert signed.objective > plain.objective
    unscaled = PermutationSpec(spec.axes, spec.sizes, spec.buffers, spec.blocks)
    found = monomial_matching(unscaled, one, other).permutation
    assert found.agreement(plain.permutation) == dict.fromkeys(spec.sizes, 1.0)
