import pandas as pd
import pytest

from analysis.statistics.deciding import FAILS, HOLDS, NOT_INFORMATIVE, UNDECIDED, Finding, decide
from analysis.statistics.jackknife import NOT_POSITIVE
from analysis.statistics.simultaneous import (
    below_half,
    decide_together,
    first_middle_last,
    sentence,
    together,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("states", "word"),
    [
        ([], NOT_INFORMATIVE),
        ([HOLDS, HOLDS], HOLDS),
        ([HOLDS, UNDECIDED], UNDECIDED),
        ([HOLDS, UNDECIDED, FAILS], FAILS),
    ],
)
def test_states_of_all_places_together(states, word):
    assert together(states) == word


def decided(rows, unaligned, coordinate, away=0.0):
    """Decide rows of the error barrier by coordinate, with these means of unaligned pairs.

    The ends of their intervals are so far away from the means.
    """
    baselines = pd.DataFrame({coordinate: list(unaligned), "mean": list(unaligned.values())})
    mean = baselines["mean"]
    baselines = baselines.assign(low=mean - away, high=mean + away, reason="", kind="unaligned")
    both = pd.concat([rows.assign(kind="direct"), baselines]).assign(risk="error")
    found = decide(both, "kind", [coordinate])
    return decide_together(found[found.kind == "direct"], coordinate)


def test_places_where_nothing_needs_a_permutation_do_not_count():
    rows = pd.DataFrame({"epoch": [0, 1, 2], "mean": [0.5, 0.01, 0.015], "n": 6})
    rows = rows.assign(low=rows["mean"], high=rows["mean"], reason="", maximum=rows["mean"], connected=1.0)
    found = decided(rows, {0: 0.02, 1: 0.3, 2: 0.3}, "epoch")
    assert (found.state, found.holds, found.informative, found.reason) == (HOLDS, 2, 2, "")
    assert (found.position, found.mean) == (0, 0.5)


def test_places_that_may_need_no_permutation_count_and_are_named():
    rows = pd.DataFrame({"epoch": [1, 2, 3], "mean": [0.01, 0.01, 0.015], "n": 6})
    rows = rows.assign(low=rows["mean"], high=rows["mean"], reason="", maximum=rows["mean"], connected=1.0)
    found = decided(rows, {1: 0.0, 2: 0.014, 3: 0.3}, "epoch", away=0.01)
    assert (found.state, found.holds, found.informative) == (HOLDS, 2, 2)
    assert sentence(found, "training").startswith(
        "the claim holds in the mean along training, but whether the networks need a permutation is "
        "undecided at epoch 2 (mean error barrier decided to be at most 0.02 at 2 of the 2 informative "
    )


def test_undecided_places_are_named_with_their_reasons():
    rows = pd.DataFrame({"level": [3, 1, 2, 5], "mean": [0.02, 0.01, 0.02, NAN], "n": 6, "connected": 0.5})
    rows = rows.assign(low=[0.01, 0.0, 0.01, NAN], high=[0.03, 0.015, 0.03, NAN], maximum=0.04)
    rows["reason"] = ["", "", "", "1 of 6 without a finite value: a with b"]
    found = decided(rows, {1: 0.3, 2: 0.3, 3: 0.3, 5: 0.3}, "level")
    assert (found.state, found.position) == (UNDECIDED, 5)
    assert found.reason == (
        "the interval straddles 0.02 at level 2, 3; 1 of 6 without a finite value: a with b at level 5"
    )
    assert sentence(found, "pruning").startswith(
        f"the claim is undecided: {found.reason} (mean error barrier decided to be at most 0.02 at 1 of the "
        "4 informative levels, undecided at 3); largest"
    )


def test_places_that_fail_are_named_though_the_mean_is_larger_elsewhere():
    rows = pd.DataFrame(
        {"level": [1, 2], "mean": [0.2, 0.1], "low": [0.0, 0.05], "high": [0.4, 0.15], "n": 6}
    )
    found = decided(rows.assign(reason="", maximum=0.4, connected=0.5), {1: 0.3, 2: 0.3}, "level")
    assert (found.state, found.position, found.reason) == (FAILS, 1, "at level 2")
    assert sentence(found, "pruning").startswith("the claim fails at level 2 (mean error barrier")


def test_a_place_without_its_unaligned_pairs_is_undecided():
    rows = pd.DataFrame({"epoch": [1], "mean": [0.01], "low": [0.0], "high": [0.015], "reason": [""], "n": 6})
    found = decided(rows.assign(maximum=0.01, connected=1.0), {}, "epoch")
    assert (found.state, found.reason) == (UNDECIDED, "no unaligned baseline at epoch 1")


@pytest.mark.parametrize(
    ("ends", "found"),
    [
        ((0.3, 0.49, ""), Finding(HOLDS)),
        ((0.5, 0.7, ""), Finding(FAILS)),
        ((0.4, 0.6, ""), Finding(UNDECIDED, "the interval straddles 0.5")),
        ((NAN, NAN, "few"), Finding(UNDECIDED, "few")),
        ((NAN, NAN, "1 of 6 without a finite value"), Finding(UNDECIDED, "1 of 6 without a finite value")),
        ((NAN, NAN, NOT_POSITIVE), Finding(NOT_INFORMATIVE)),
    ],
)
def test_less_than_half_of_the_unaligned_loss_barrier(ends, found):
    assert below_half(*ends) == found


@pytest.mark.parametrize(
    ("places", "named"),
    [
        ([0, 1, 3, 5, 5], {"first": 1, "middle": 3, "last": 5}),
        ([0, 1, 5], {"first": 1, "last": 5}),
        ([7], {"last": 7}),
        ([0], {"last": 0}),
        ([], {}),
    ],
)
def test_places_that_stand_for_all(places, named):
    assert first_middle_last(places) == named
