from itertools import permutations

import pytest
import torch

from raysweep.alignment import Embedding, embed, weight_matching
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import PermutationSpec
from tests.conftest import mlp


def spec_and_state(model, width, seed=0, norm="none"):
    config = ModelConfig(model, width, None, norm, (1, 8, 8), 10)
    spec = PermutationSpec.trace(build(config), torch.zeros(2, 1, 8, 8))
    return spec, initialised(config, "pytorch", seed).state_dict()


def distance(one, other):
    return sum((one[name] - other[name]).double().square().sum().item() for name in one)


@pytest.mark.parametrize(
    ("model", "narrow", "wide", "draws"),
    [("mlp", 16, 64, 20), ("lenet", 3, 9, 20), ("vgg11", 3, 8, 3), ("resnet20", 3, 8, 3)],
)
def test_a_part_of_a_wide_network_is_found(model, narrow, wide, draws):
    """Its units keep their weights among each other; what else the wide network has makes it another one."""
    narrow_spec, like = spec_and_state(model, narrow)
    for seed in range(draws):
        wide_spec, large = spec_and_state(model, wide, seed)
        generator = torch.Generator().manual_seed(seed)
        units = {g: i[: narrow_spec.sizes[g]] for g, i in wide_spec.random(generator).indices.items()}
        small = Embedding(units, 0.0, 0.0, 0).select(wide_spec, large)
        assert {name: t.shape for name, t in small.items()} == {name: t.shape for name, t in like.items()}
        found = embed(narrow_spec, wide_spec, small, large, seed=0)
        assert all(torch.equal(found.indices[group], units[group]) for group in units)
        assert found.objective == 0 > found.objective_identity


def test_no_choice_for_a_single_layer_is_closer():
    """Brute force: units of small weights do not lose against units of large ones, nor the other way."""
    for seed in range(10):
        (two, small), (four, large) = spec_and_state("mlp", 2, seed), spec_and_state("mlp", 4, seed + 100)
        large = {
            name: tensor * 3 * torch.rand(tensor.shape[0], *[1] * (tensor.dim() - 1))
            for name, tensor in large.items()
        }
        found = embed(two, four, small, large, seed=0)
        reached = distance(small, found.select(four, large))
        assert -found.objective == pytest.approx(reached)
        assert -found.objective_identity >= reached
        for group in two.sizes:
            for units in permutations(range(4), 2):
                other = Embedding({**found.indices, group: torch.tensor(units)}, 0.0, 0.0, 0)
                assert distance(small, other.select(four, large)) >= reached * (1 - 1e-6)


def test_equal_widths_are_a_permutation(trained):
    """The distance of whole networks is smallest where their inner product is largest."""
    spec = PermutationSpec.trace(build(mlp()), torch.zeros(2, 1, 8, 8))
    square = weight_matching(spec, trained[0], trained[1], seed=0, order="forward")
    found = embed(spec, spec, trained[0], trained[1], seed=0)
    assert -found.objective <= 1.05 * distance(trained[0], spec.apply(square.permutation, trained[1]))
    assert all(sorted(index.tolist()) == list(range(16)) for index in found.indices.values())


def test_the_permutation_brings_the_chosen_units_to_the_front():
    (six, small), (twelve, large) = spec_and_state("mlp", 6), spec_and_state("mlp", 12, seed=1)
    found = embed(six, twelve, small, large, seed=0)
    indices = found.permutation(twelve).indices
    assert indices.keys() == found.indices.keys()
    assert all(torch.equal(indices[group][:6], units) for group, units in found.indices.items())


def test_every_layer_of_a_part_that_comes_first_is_solved_twice():
    """Once in the ascent, which changes nothing, and once in the forward pass: without restarts, no more."""
    spec, state = spec_and_state("mlp", 6)
    assert embed(spec, spec, state, state, seed=0).iterations == 2 * len(spec.sizes)


def test_errors():
    (six, small), (twelve, large) = spec_and_state("mlp", 6), spec_and_state("mlp", 12)
    with pytest.raises(ValueError, match="12 units"):
        embed(twelve, six, large, small, seed=0)
    with pytest.raises(ValueError, match="more than their widths"):
        embed(six, spec_and_state("lenet", 12)[0], small, large, seed=0)
    crossed = {n: axes if None in axes else axes[::-1] for n, axes in twelve.axes.items()}
    with pytest.raises(ValueError, match="more than their widths"):
        embed(six, PermutationSpec(crossed, twelve.sizes, twelve.buffers), small, large, seed=0)
    with pytest.raises(ValueError, match="unknown order 'upward'; valid: random, forward, backward"):
        embed(six, twelve, small, large, seed=0, order="upward")
    with pytest.raises(ValueError, match="restarts must be at least 1, not 0"):
        embed(six, twelve, small, large, seed=0, restarts=0)
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
