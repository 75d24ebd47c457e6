import inspect
from types import SimpleNamespace

import pandas as pd
import pytest

from analysis.deciding import (
    Finding,
    beside_threshold,
    share_connected,
    side_of,
    state,
    with_findings,
    with_reason,
)

NAN = float("nan")
STRADDLES = "the interval straddles 0.02"


def ends(low, high, why=""):
    return SimpleNamespace(low=low, high=high, why=why)


@pytest.mark.parametrize(
    ("low", "high", "unaligned", "found"),
    [
        (0.01, 0.02, 0.5, Finding("holds")),
        (0.01, 0.021, 0.5, Finding("undecided", STRADDLES)),
        (0.021, 0.03, 0.5, Finding("fails")),
        (0.0, 0.01, 0.02, Finding("not informative")),
        (0.03, 0.04, 0.02, Finding("not informative")),
        (0.0, 0.01, None, Finding("undecided", "no unaligned baseline")),
        (0.03, 0.04, NAN, Finding("undecided", "no unaligned baseline")),
    ],
)
def test_states(low, high, unaligned, found):
    assert state(ends(low, high), unaligned) == found


def test_without_an_interval_it_is_undecided_for_the_same_reason():
    few = ends(NAN, NAN, "fewer than four networks")
    assert state(few, 0.5) == beside_threshold(few) == Finding("undecided", "fewer than four networks")
    assert state(few, 0.01).state == "not informative"


def test_no_claim_is_decided_without_asking_for_its_baseline():
    assert inspect.signature(state).parameters["unaligned"].default is inspect.Parameter.empty


def test_the_last_bits_do_not_decide():
    assert state(ends(0.0, 0.035 - 0.015), 0.5).state == "holds"
    assert share_connected([0.035 - 0.015, 0.0225]) == 0.5


def test_findings_become_columns():
    rows = pd.DataFrame({"width": [8, 16]})
    found = with_findings(rows, [Finding("holds"), Finding("undecided", STRADDLES)])
    assert found.to_dict("list") == {
        "width": [8, 16],
        "state": ["holds", "undecided"],
        "why": ["", STRADDLES],
    }


def test_a_barrier_that_is_no_number_is_not_connected():
    assert share_connected([0.01, NAN]) == 0.5


def test_in_words():
    assert with_reason("undecided", STRADDLES) == f"undecided: {STRADDLES}"
    assert with_reason("holds", "") == "holds in the mean"
    assert with_reason("fails", "at level 3") == "fails at level 3"
    assert with_reason("fails", "") == "fails"
    assert with_reason("not informative", "") == "not informative"


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0.5, 0.9, Finding("below")),
        (1.1, 2, Finding("above")),
        (0.9, 1, Finding("undecided", "the interval straddles 1")),
        (1, 1.1, Finding("undecided", "the interval straddles 1")),
        (0.9, 1.1, Finding("undecided", "the interval straddles 1")),
        (NAN, NAN, Finding("undecided", "few")),
    ],
)
def test_sides_of_a_value(low, high, found):
    assert side_of(1, low, high, "few") == found
