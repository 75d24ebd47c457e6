import pandas as pd
import pytest

from analysis.deciding import FAILS, HOLDS, NOT_INFORMATIVE, UNDECIDED
from analysis.simultaneous import decide, together


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
