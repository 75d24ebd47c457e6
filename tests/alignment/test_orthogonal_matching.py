"""Weight matching with rotations undoes what leaves the function of a network as it is."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import nn

from raysweep.alignment import orthogonal_matching, weight_matching
from raysweep.symmetry import PermutationSpec
from tests.symmetry.rotations import random_rotation, random_weights
from tests.symmetry.test_transformers import CASES


@cache
def rotated(name):
    model, example, *_ = CASES[name]
    return PermutationSpec.trace(model, example, proved=False).with_rotations(model, example)


def weights(name, seed):
    model = CASES[name][0]
    state = random_weights(model, torch.Generator().manual_seed(seed))
    return state | ({"head.weight": state["wte.weight"]} if name == "gpt" else {})


@pytest.mark.parametrize("name", ["vision transformer", "gpt", "llama", "encoder layer, norm first"])
@pytest.mark.parametrize("seed", [0, 1])
def test_known_rotations_are_undone(name, seed):
    spec, state = rotated(name), weights(name, seed)
    moved = spec.apply(random_rotation(spec, torch.Generator().manual_seed(seed)), state)
    found = orthogonal_matching(spec, state, moved)
    back, folded = spec.apply(found.permutation, moved), spec.folded(state)
    for parameter in state:
        torch.testing.assert_close(back[parameter], folded[parameter], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["vision transformer", "llama"])
def test_two_networks_come_closer_than_by_permutations(name):
    spec = rotated(name)
    one, other = spec.folded(weights(name, 2)), spec.folded(weights(name, 3))
    gains = {folding.gain for each in spec.rotations.values() for folding in each.foldings}
    without = replace(spec, axes={n: axes for n, axes in spec.axes.items() if n not in gains})
    plain, whole = weight_matching(without, one, other), orthogonal_matching(spec, one, other)
    heads = orthogonal_matching(spec, one, other, streams=False)
    assert plain.objective < whole.objective
    assert heads.permutation.rotations.keys() < whole.permutation.rotations.keys()
    again = orthogonal_matching(spec, one, spec.apply(whole.permutation, other))
    assert again.objective_identity == pytest.approx(whole.objective)
    assert again.objective >= whole.objective * (1 - 1e-9)


def test_without_rotations_it_is_weight_matching():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    spec = PermutationSpec.trace(model, torch.randn(2, 4))
    one, other = (random_weights(model, torch.Generator().manual_seed(seed)) for seed in range(2))
    found, plain = orthogonal_matching(spec, one, other), weight_matching(spec, one, other)
    assert found.objective == pytest.approx(plain.objective)
    assert found.permutation.agreement(plain.permutation) == {"0": 1.0}
    assert not found.permutation.rotations
