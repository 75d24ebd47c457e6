from collections import Counter

import pytest

from raysweep.errors import UserError
from raysweep.plan.desired import desired
from raysweep.sweep.load import check
from tests.plan.compared import comparisons

TRAIN = {"dataset": "digits", "model": "mlp", "epochs": 1, "replicates": 3}


def planned(across, **train):
    compare = {"kinds": ["unaligned", "direct"], "across": [across]}
    return desired(check("x.yaml", {"name": "x", "train": {**TRAIN, **train}, "compare": compare}))


def kinds(wanted):
    return Counter((each.kind, each.across) for each in comparisons(wanted))


def test_narrow_networks_are_embedded_in_wide_ones_of_other_replicates():
    wanted = planned("widths", width=[4, 8])
    assert kinds(wanted) == {
        ("unaligned", None): 6,
        ("direct", None): 6,
        ("unaligned", "widths"): 6,
        ("embedded", "widths"): 6,
    }
    for each in comparisons(wanted):
        runs = [wanted.trials[network.trial_id] for network in each.networks]
        assert runs[0].replicate != runs[1].replicate
        if each.across:
            assert [run.training.width for run in runs] == [8, 4]
    embedding = next(job for job in wanted.alignments.values() if job.embeds)
    assert wanted.trials[embedding.target.trial_id].training.width == 4


@pytest.mark.parametrize(
    ("train", "orders"),
    [({"pixel_seed": [None, 1]}, 2), ({"half": [0, 1]}, 1)],
    ids=["evaluated on both", "evaluated on what they have in common"],
)
def test_pairs_of_two_tasks_and_permutations_of_another(train, orders):
    wanted = planned("tasks", width=4, **train)
    assert kinds(wanted) == {
        ("unaligned", None): 6,
        ("direct", None): 6,
        ("transferred", None): 6,
        ("unaligned", "tasks"): 6 * orders,
        ("direct", "tasks"): 6 * orders,
    }
    assert len(wanted.alignments) == 6 + 6  # of each task, and of two: one for both orders


def test_a_transferred_permutation_was_found_on_the_same_replicates():
    wanted = planned("tasks", width=4, pixel_seed=[None, 1])
    for each in comparisons(wanted):
        if each.kind == "transferred":
            found = wanted.alignments[each.alignments[0]].networks
            here, there = (
                {wanted.trials[n.trial_id].replicate for n in networks} for networks in (each.networks, found)
            )
            assert here == there
            assert not {n.trial_id for n in each.networks} & {n.trial_id for n in found}


@pytest.mark.parametrize(
    ("across", "keys"), [("widths", "width"), ("tasks", "dataset, dataset_options, examples")]
)
def test_nothing_to_compare_across_is_an_error(across, keys):
    with pytest.raises(UserError, match=f"compare.across = {across}: .*{keys}"):
        planned(across, width=4)


def test_more_widths_change_no_id():
    few, more = planned("widths", width=[4, 8]), planned("widths", width=[4, 8, 16])
    assert set(few.barriers) < set(more.barriers)
