from itertools import combinations, permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.alignment import joint_matching, weight_matching
from raysweep.alignment.weight_matching import objective
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import Permutation, PermutationSpec
from tests.conftest import mlp

SPEC = PermutationSpec.trace(build(mlp()), torch.zeros(2, 1, 8, 8))
NAMES = list(SPEC.axes)


def total(spec, states, permutations):
    names = [name for name in spec.axes if name not in spec.buffers]
    moved = [spec.apply(p, state) for p, state in zip(permutations, states, strict=True)]
    return sum(objective(one, other, names) for one, other in combinations(moved, 2))


@pytest.mark.parametrize("config", [mlp(), ModelConfig("resnet20", 3, None, "batch", (1, 8, 8), 10)])
def test_permuted_copies_become_equal(config):
    """P_i[A] are recovered up to one common permutation: all aligned networks are bitwise the same."""
    spec = PermutationSpec.trace(build(config), torch.zeros(2, 1, 8, 8))
    state = initialised(config, "pytorch", 0).state_dict()
    generator = torch.Generator().manual_seed(0)
    copies = [spec.apply(spec.random(generator), state) for _ in range(4)]
    found = joint_matching(spec, copies, seed=0)
    first, *rest = [spec.apply(p, copy) for p, copy in zip(found.permutations, copies, strict=True)]
    assert all(torch.equal(first[name], other[name]) for other in rest for name in first)


def test_objective_is_the_sum_over_pairs_and_at_least_that_of_every_reference(trained):
    found = joint_matching(SPEC, trained, seed=0)
    assert found.objective == pytest.approx(total(SPEC, trained, found.permutations), rel=1e-12)
    for reference in range(3):
        through = [weight_matching(SPEC, trained[reference], state, seed=1).permutation for state in trained]
        assert found.objective >= total(SPEC, trained, through) * (1 - 1e-6)
    assert found.objective > found.objective_identity


def test_two_networks_are_a_pair(trained):
    found = joint_matching(SPEC, trained[:2], seed=0)
    pair = weight_matching(SPEC, trained[0], trained[1], seed=0)
    assert found.objective >= pair.objective * (1 - 0.02)


def test_the_ascent_starts_at_the_best_reference_and_ends_where_no_network_gains():
    """In a fixed order of the layers no seed matters, so that every alignment can be made again."""
    states = [initialised(mlp(), "pytorch", seed).state_dict() for seed in range(4)]
    found = joint_matching(SPEC, states, seed=0, order="forward")
    through = [
        total(SPEC, states, [weight_matching(SPEC, r, s, 0, order="forward").permutation for s in states])
        for r in states
    ]
    assert found.reference == max(range(4), key=through.__getitem__)
    assert found.objective > 1.1 * max(through)
    moved = [SPEC.apply(p, state) for p, state in zip(found.permutations, states, strict=True)]
    for member, state in enumerate(moved):
        rest = [other for number, other in enumerate(moved) if number != member]
        others = {name: sum(other[name] for other in rest) for name in NAMES}
        again = weight_matching(SPEC, others, state, 0, start=Permutation.identity(SPEC.sizes))
        assert again.objective - again.objective_identity < 1e-6 * found.objective


def test_every_assignment_is_counted():
    """Of copies, those toward each reference, and one sweep in which no network moves."""
    state, generator = initialised(mlp(), "pytorch", 0).state_dict(), torch.Generator().manual_seed(0)
    copies = [SPEC.apply(SPEC.random(generator), state) for _ in range(3)]
    found = joint_matching(SPEC, copies, seed=0, order="forward")
    pairs = permutations(copies, 2)
    starts = sum(weight_matching(SPEC, *pair, 0, order="forward").iterations for pair in pairs)
    assert found.iterations == starts + 3 * len(SPEC.sizes)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), order=st.permutations(range(3)))
def test_the_aligned_networks_do_not_depend_on_the_units_order(trained, seed, order):
    """Networks whose units were reordered first: compositions around a cycle are still the identity."""
    generator = torch.Generator().manual_seed(seed)
    shuffled = [SPEC.apply(SPEC.random(generator), trained[i]) for i in order]
    found = joint_matching(SPEC, shuffled, seed=0)
    assert found.objective == pytest.approx(total(SPEC, shuffled, found.permutations), rel=1e-12)
    assert found.objective >= found.objective_identity
    best_reference = max(
        total(SPEC, shuffled, [weight_matching(SPEC, r, s, seed=1).permutation for s in shuffled])
        for r in shuffled
    )
    assert found.objective >= best_reference * (1 - 1e-2)
    first, second, third = found.permutations
    cycle = (
        first.inverse()
        .compose(second)
        .compose(second.inverse().compose(third))
        .compose(third.inverse().compose(first))
    )
    assert not cycle.moving()


def test_options_of_weight_matching(trained):
    plain = joint_matching(SPEC, trained, seed=0)
    assert joint_matching(SPEC, trained, seed=0, restarts=3).iterations > plain.iterations
    shifted = [
        {n: t + 100 * torch.arange(len(t)) if t.dim() == 1 else t for n, t in s.items()} for s in trained
    ]
    without = [joint_matching(SPEC, states, seed=0, biases=False) for states in (trained, shifted)]
    assert without[0].objective == without[1].objective
    with pytest.raises(ValueError, match="unknown order 'upward'"):
        joint_matching(SPEC, trained, seed=0, order="upward")
    for few in (trained[:1], []):
        with pytest.raises(ValueError, match="a joint alignment requires at least two"):
            joint_matching(SPEC, few, seed=0)
