from types import SimpleNamespace

import pandas as pd
import pytest

from analysis.statistics.deciding import (
    Finding,
    decide,
    decide_one,
    share_connected,
    side_of,
    with_reason,
)

NAN = float("nan")
STRADDLES = "the interval straddles 0.02"


PERHAPS = "whether the networks need a permutation is undecided"


def ends(low, high, reason="", mean=None):
    return SimpleNamespace(mean=(low + high) / 2 if mean is None else mean, low=low, high=high, reason=reason)


@pytest.mark.parametrize(
    ("low", "high", "unaligned", "found"),
    [
        (0.01, 0.02, (0.5, 0.5), Finding("holds")),
        (0.01, 0.021, (0.5, 0.5), Finding("undecided", STRADDLES)),
        (0.021, 0.03, (0.5, 0.5), Finding("fails")),
        (0.0, 0.01, (-0.01, 0.02), Finding("not informative")),
        (0.03, 0.04, (0.02, 0.02), Finding("not informative")),
        (0.01, 0.02, (-0.03, 0.17), Finding("holds", PERHAPS)),
        (0.01, 0.03, (-0.03, 0.05), Finding("undecided", STRADDLES)),
        (0.03, 0.04, (-0.03, 0.05), Finding("fails")),
        (0.03, 0.04, (NAN, NAN), Finding("undecided", "no unaligned baseline")),
    ],
)
def test_states(low, high, unaligned, found):
    assert decide_one(ends(low, high), ends(*unaligned)) == found


def test_without_a_baseline_nothing_is_decided():
    assert decide_one(ends(0.0, 0.01), None) == Finding("undecided", "no unaligned baseline")


def test_without_an_interval_it_is_undecided_for_the_same_reason():
    few = ends(NAN, NAN, "fewer than four networks", mean=0.01)
    for unaligned in (ends(0.5, 0.5), few):
        assert decide_one(few, unaligned) == Finding("undecided", "fewer than four networks")
    assert decide_one(few, ends(0.01, 0.01)).state == "not informative"
    assert decide_one(ends(0.0, 0.01), few) == Finding("holds", PERHAPS)


def summary(**means):
    """Rows of a summary by kind and width, with intervals of no width."""
    rows = [{"kind": kind, "width": w, "mean": m} for kind, by in means.items() for w, m in by.items()]
    frame = pd.DataFrame(rows)
    frame = frame.assign(low=frame["mean"], high=frame["mean"], reason="")
    return pd.concat([frame.assign(risk="error"), frame.assign(risk="loss", low=9.0, high=9.0)])


def test_every_row_is_decided_beside_its_own_baseline():
    """The unaligned rows themselves are held against the threshold; losses are not decided."""
    found = decide(
        summary(unaligned={8: 0.5, 16: 0.01}, direct={8: 0.1, 16: 0.001, 32: 0.001}), "kind", ["width"]
    )
    assert set(found.risk) == {"error"}
    states = dict(zip(zip(found.kind, found.width, strict=True), found.state, strict=True))
    assert states == {
        ("unaligned", 8): "fails",
        ("unaligned", 16): "holds",
        ("direct", 8): "fails",
        ("direct", 16): "not informative",
        ("direct", 32): "undecided",
    }
    assert found[found.width == 32].reason.tolist() == ["no unaligned baseline"]
    assert found[found.width == 8].unaligned.tolist() == [0.5, 0.5]


def test_some_kinds_need_no_baseline():
    rows = summary(unaligned={8: 0.01}, cycle={8: 0.01}, path={8: 0.01})
    found = decide(rows, "kind", ["width"], without_baseline=["cycle"]).set_index("kind")
    assert found.state.to_dict() == {"unaligned": "holds", "cycle": "holds", "path": "not informative"}


def test_the_last_bits_do_not_decide():
    assert decide_one(ends(0.0, 0.035 - 0.015), ends(0.5, 0.5)).state == "holds"
    assert share_connected([0.035 - 0.015, 0.0225]) == 0.5


def test_a_barrier_that_is_no_number_is_not_connected():
    assert share_connected([0.01, NAN]) == 0.5


def test_in_words():
    assert with_reason("undecided", STRADDLES) == f"undecided: {STRADDLES}"
    assert with_reason("holds", "") == "holds in the mean"
    assert with_reason("holds", PERHAPS) == f"holds in the mean, but {PERHAPS}"
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
