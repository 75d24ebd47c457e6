"""Composed and hybrid permutations are the permutations that their definitions say."""

import torch

from raysweep.plan.applied_permutations import ComposedPermutation, FoundPermutation, HybridPermutation
from raysweep.plan.desired import desired
from raysweep.plan.permutations import permutation_of
from raysweep.sweep.load import check
from raysweep.symmetry import Permutation
from tests.plan.compared import comparisons
from tests.symmetry.checks import as_lists

SIZES = {"low": 5, "high": 3}
GENERATOR = torch.Generator().manual_seed(0)
FOUND = {name: Permutation.random(SIZES, GENERATOR) for name in "abc"}
ROWS = {
    name: {"groups": list(SIZES), "permutations": list(as_lists(permutation).values())}
    for name, permutation in FOUND.items()
}


def same(one, other):
    return as_lists(one) == as_lists(other)


def test_a_composed_permutation_applies_its_steps_in_turn():
    path = ComposedPermutation((FoundPermutation("a", False), FoundPermutation("b", True)))
    composed = permutation_of(path, ROWS.__getitem__)
    assert same(composed, FOUND["b"].inverse().compose(FOUND["a"]))
    back = ComposedPermutation((FoundPermutation("a", False), FoundPermutation("a", True)))
    assert permutation_of(back, ROWS.__getitem__).share_of_fixed_points() == 1.0


def test_a_hybrid_takes_each_group_from_one_of_the_two():
    mixed = permutation_of(
        HybridPermutation(FoundPermutation("a", False), FoundPermutation("c", True), ("high",)),
        ROWS.__getitem__,
    )
    assert torch.equal(mixed.indices["high"], FOUND["a"].indices["high"])
    assert torch.equal(mixed.indices["low"], FOUND["c"].inverse().indices["low"])


def plan(networks, replicates, paths=1000):
    compare = {"kinds": ["composed"], "path_networks": [networks], "paths": paths}
    train = {"dataset": "digits", "width": 8, "epochs": 2, "replicates": replicates}
    return desired(check("test", {"name": "s", "train": train, "compare": compare}))


def test_paths_and_cycles_lead_step_by_step_to_their_first_network():
    wanted = plan(4, 5)
    compared = comparisons(wanted)
    cycles = [each for each in compared if each.path[0] == each.path[-1]]
    assert len(cycles) == 5 * 3  # four of five networks, three cycles through four networks
    assert len(compared) - len(cycles) == 5 * 4 * 3 * 2 // 2
    for each in compared:
        at = each.path[-1]
        assert each.networks == (each.path[0], each.path[-1])
        for move, toward in zip(each.permutations[1].steps, each.path[-2::-1], strict=True):
            found = wanted.alignments[move.alignment_id]
            assert set(found.networks) == {at, toward}
            assert move.inverse == (found.target != toward)
            at = toward
    assert sorted({job.kind for job in wanted.agreements.values()}) == ["cycle", "path"]


def test_the_drawn_paths_are_bounded_and_stay_when_networks_are_added():
    few, more = plan(3, 4, paths=5), plan(3, 5, paths=5)
    assert len(few.barriers) == 4 + 5  # there are four cycles of three of four networks
    kept = {each.path for each in comparisons(few)} & {each.path for each in comparisons(more)}
    assert kept
