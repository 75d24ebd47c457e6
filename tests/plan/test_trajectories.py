import pytest

from raysweep.errors import UserError
from raysweep.plan.desired import desired
from raysweep.sweep.load import check
from tests.plan.compared import comparisons

# one epoch of the digits in batches of 64 has 22 steps
TRAIN = {
    "dataset": "digits",
    "width": 8,
    "epochs": 4,
    "batch_size": 64,
    "replicates": 3,
    "checkpoints": [1, 2],
}


def plan(align=None, kinds=("unaligned", "direct"), **trajectory):
    compare = {"kinds": list(kinds), "trajectory": trajectory}
    return desired(check("test", {"name": "s", "train": TRAIN, "compare": compare, "align": align or {}}))


def found_at(wanted, compared):
    return wanted.alignments[compared.alignments[0]].target.step if compared.alignments else None


def test_every_permutation_is_applied_at_every_point():
    wanted = plan()
    steps = {0, 22, 44, 88}
    assert len(wanted.alignments) == 3 * 4
    assert all(len({n.step for n in job.networks}) == 1 for job in wanted.alignments.values())
    direct = [each for each in comparisons(wanted) if each.kind == "direct"]
    for pair in {tuple(n.trial_id for n in u.networks) for u in direct}:
        these = [u for u in direct if tuple(n.trial_id for n in u.networks) == pair]
        assert {(found_at(wanted, u), u.networks[0].step) for u in these} == {
            (s, t) for s in steps for t in steps
        }
        assert len(these) == 16
    assert sum(each.kind == "unaligned" for each in comparisons(wanted)) == 3 * 4
    for each in direct:  # the permutation always moves the second network toward the first's trial
        applied, found = each.permutations[1], wanted.alignments[each.alignments[0]]
        assert (found.target.trial_id == each.networks[0].trial_id) != applied.inverse


def test_moments_choose_rows_and_columns_and_the_end_is_always_among_them():
    wanted = plan(permutations=["1ep"], points=["44st"])
    direct = [each for each in comparisons(wanted) if each.kind == "direct"]
    assert {(found_at(wanted, u), u.networks[0].step) for u in direct} == {
        (22, 44),
        (22, 88),
        (88, 44),
        (88, 88),
    }
    kinds = [job.kind for job in wanted.agreements.values()]
    assert kinds == ["trajectory"] * 6


def test_stacks_hold_the_last_checkpoints_with_the_end_first():
    wanted = plan(stacks=[3])
    stacks = [u for u in wanted.alignments.values() if u.stack == 3]
    assert len(stacks) == 3
    for job in stacks:
        assert [n.step for n in job.networks] == [88, 44, 22] * 2
        assert len({n.trial_id for n in job.networks[:3]}) == 1
    applied = [each for each in comparisons(wanted) if each.kind == "stacked"]
    assert len(applied) == 3 * 4


def test_stacks_are_aligned_by_weights_alone():
    both = plan(align={"methods": ["weight_matching", "activation_matching"]}, stacks=[3])
    assert {job.method for job in both.alignments.values() if job.stack == 3} == {"weight_matching"}
    with pytest.raises(UserError, match=r"compare\.trajectory\.stacks: requires weight_matching"):
        plan(align={"methods": ["activation_matching"]}, stacks=[3])


def test_hybrids_cover_all_layers_in_each_direction():
    wanted = plan(hybrids=["bottom_up", "top_down", "one_in", "one_out"], early=1)
    by_direction = {}
    for each in comparisons(wanted):
        if each.kind == "hybrid":
            move = each.permutations[1]
            assert found_at(wanted, each) == 22
            assert wanted.alignments[move.second.alignment_id].target.step == 88
            by_direction.setdefault(each.hybrid, set()).add(move.groups)
    chosen = {key: groups for key, (groups,) in ((k, tuple(v)) for k, v in by_direction.items())}
    low, middle, high = chosen["bottom_up", 3]
    assert chosen["bottom_up", 0] == chosen["top_down", 0] == ()
    assert chosen["bottom_up", 1] == chosen["one_in", 0] == (low,)
    assert chosen["top_down", 1] == chosen["one_in", 2] == (high,)
    assert chosen["one_out", 1] == (low, high)
    assert chosen["top_down", 2] == chosen["one_out", 0] == (middle, high)


@pytest.mark.parametrize("key", ["permutations", "points"])
def test_a_moment_without_a_checkpoint_is_refused(key):
    with pytest.raises(UserError, match=rf"compare\.trajectory\.{key} = 3ep: is step 66.*22st, 44st"):
        plan(**{key: [3]})


def test_stacks_of_more_checkpoints_than_there_are_are_refused():
    with pytest.raises(UserError, match=r"compare\.trajectory\.stacks = 5: .* at 4 checkpoints"):
        plan(stacks=[2, 5])


def test_an_early_permutation_must_be_found():
    with pytest.raises(UserError, match=r"compare\.trajectory\.early"):
        plan(permutations=[2], hybrids=["one_in"], early=1)
