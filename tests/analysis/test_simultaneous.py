import pandas as pd
import pytest

from analysis.deciding import FAILS, HOLDS, NOT_INFORMATIVE, UNDECIDED
from analysis.simultaneous import below_half, decide, first_middle_last, together


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


def test_places_where_nothing_needs_a_permutation_do_not_count():
    rows = pd.DataFrame({"place": [0, 1, 2], "mean": [0.5, 0.01, 0.015], "n": 6})
    rows = rows.assign(low=rows["mean"], high=rows["mean"], maximum=rows["mean"], connected=1.0)
    found = decide(rows, {0: 0.02, 1: 0.3, 2: 0.3})
    assert (found.state, found.holds, found.told) == (HOLDS, 2, 2)
    assert (found.place, found.mean) == (0, 0.5)


NAN = float("nan")


@pytest.mark.parametrize(
    ("ends", "word"),
    [
        ((0.4, 0.3, 0.49), HOLDS),
        ((0.6, 0.5, 0.7), FAILS),
        ((0.5, 0.4, 0.6), UNDECIDED),
        ((0.4, NAN, NAN), UNDECIDED),
        ((NAN, NAN, NAN), NOT_INFORMATIVE),
    ],
)
def test_less_than_half_of_the_unaligned_loss_barrier(ends, word):
    assert below_half(*ends) == word


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
