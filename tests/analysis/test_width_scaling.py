import pandas as pd
import pytest

from analysis.width_scaling import analyse, decided, summarise, verdicts
from tests.analysis.barrier_rows import (
    METHOD,
    NETWORKS,
    joint_alignments,
    joint_rows,
    pair_alignments,
    pair_rows,
    set_rows,
    trial_rows,
    via_rows,
)

pytestmark = pytest.mark.versions

ALIGNMENTS = pd.concat([pair_alignments(), joint_alignments(3), joint_alignments(4)])


def sweep(unaligned, direct):
    """Barriers by width of unaligned and of directly aligned pairs."""
    rows = [row for width, value in unaligned.items() for row in pair_rows("unaligned", width, value)]
    return rows + [row for w, value in direct.items() for row in pair_rows("direct", w, value, METHOD)]


def sentence(unaligned, direct):
    (found,) = verdicts(summarise(pd.DataFrame(sweep(unaligned, direct)), ALIGNMENTS))
    return found


@pytest.mark.parametrize(
    ("unaligned", "direct", "words"),
    [
        (
            {8: 0.5, 16: 0.5},
            {8: 0.1, 16: 0.02},
            "from width 16 on (maximum 0.020, 100% of 6 pairs connected)",
        ),
        (
            {8: 0.5, 16: 0.5},
            {8: 0.01, 16: 0.02},
            "from width 8 on (maximum 0.020, 100% of 12 pairs connected)",
        ),
        ({8: 0.5, 16: 0.5}, {8: 0.1, 16: 0.1}, "from no measured width on"),
        ({8: 0.5, 16: 0.5}, {8: 0.01, 16: 0.1}, "from no measured width on; it holds at 8"),
        (
            {8: 0.5, 16: 0.01},
            {8: 0.01, 16: 0.01},
            "from width 8 on (maximum 0.010, 100% of 6 pairs connected); "
            "nothing is decided at 16 (not informative)",
        ),
        (
            {8: 0.5, 16: 0.01, 32: 0.5, 64: 0.01},
            {8: 0.01, 16: 0.01, 32: 0.1, 64: 0.01},
            "from no measured width on; it holds at 8; nothing is decided at 16, 64 (not informative)",
        ),
        ({8: 0.01}, {8: 0.01}, "from no measured width on; nothing is decided at 8 (not informative)"),
        (
            {16: 0.5},
            {8: 0.01, 16: 0.01},
            "from width 16 on (maximum 0.010, 100% of 6 pairs connected); "
            "nothing is decided at 8 (undecided: no unaligned baseline)",
        ),
    ],
)
def test_from_which_width_on(unaligned, direct, words):
    assert sentence(unaligned, direct).splitlines()[0] == f"direct: mean error barrier at most 0.02 {words}"


def test_an_easy_width_more_does_not_flip_the_headline():
    """At width 256 the digits need no permutation, so that it says nothing against what holds at 64."""
    unaligned, direct = {32: 0.4, 64: 0.2, 128: 0.1}, {32: 0.05, 64: 0.01, 128: 0.005}
    before = sentence(unaligned, direct).splitlines()[0]
    assert "from width 64 on" in before
    easy = sentence(unaligned | {256: 0.015}, direct | {256: 0.004}).splitlines()[0]
    assert easy == f"{before}; nothing is decided at 256 (not informative)"


def test_a_single_undecided_width_is_named_with_its_reason():
    rows = sweep({8: 0.5, 16: 0.5}, {8: 0.01, 16: 0.01})
    rows = [row for row in rows if row["width"] == 8 or "d@0@9" not in row["networks"]]
    (found,) = verdicts(summarise(pd.DataFrame(rows), ALIGNMENTS))
    assert found.splitlines()[0].endswith(
        "from no measured width on; it holds at 8; "
        "nothing is decided at 16 (undecided: fewer than four networks)"
    )


def test_a_barrier_that_is_no_number_decides_nothing_and_is_named():
    rows = sweep({8: 0.5}, {8: 0.01})
    rows[-1]["error_barrier"] = float("nan")
    (found,) = verdicts(summarise(pd.DataFrame(rows), ALIGNMENTS))
    line = found.splitlines()[1]
    assert line == (
        "  8: undecided: 1 of 6 without a finite value: c with d "
        "(no mean, maximum 0.010, 83% of 6 pairs connected)"
    )


def test_what_holds_in_the_mean_says_for_how_many():
    six = (*NETWORKS, "e@0@9", "f@0@9")
    rows = pair_rows("unaligned", 8, 0.5, networks=six) + pair_rows("direct", 8, 0.005, METHOD, six)
    rows[-1]["error_barrier"] = 0.022
    (found,) = verdicts(summarise(pd.DataFrame(rows), pair_alignments(six)))
    head, line = found.splitlines()
    assert head.endswith("from width 8 on (maximum 0.022, 93% of 15 pairs connected)")
    assert line.startswith("  8: holds in the mean (0.006 [")


def test_an_interval_across_the_threshold_cannot_tell():
    rows = sweep({8: 0.5}, {8: 0.0})
    for place, row in enumerate(rows[12:]):
        row["error_barrier"] = 0.04 * (place % 4 > 1)
    (found,) = verdicts(summarise(pd.DataFrame(rows), ALIGNMENTS))
    assert found.splitlines()[0].endswith(
        "from no measured width on; nothing is decided at 8 (undecided: the interval straddles 0.02)"
    )


def test_every_width_has_mean_interval_maximum_share_and_count():
    rows = sweep({8: 0.5}, {8: 0.01})
    rows[-1]["error_barrier"] = 0.07
    (found,) = verdicts(summarise(pd.DataFrame(rows), ALIGNMENTS))
    line = found.splitlines()[1]
    assert line.startswith("  8: undecided: the interval straddles 0.02 (0.020 [")
    assert line.endswith("maximum 0.070, 83% of 6 pairs connected)")


def test_series_are_kept_apart():
    """Pairs beside triples, the centre beside the maximum, and joint alignments of three alone."""
    rows = [
        *pair_rows("unaligned", 8, 0.5),
        *via_rows(8, 0.1),
        *joint_rows(8, 0.05),
        *joint_rows(8, 0.9, 4),
        *set_rows("via", 8, 0.3, error_centre=0.2, loss_centre=0.2),
        *set_rows("joint", 8, 0.2, error_centre=0.1, loss_centre=0.1),
    ]
    summary = summarise(pd.DataFrame(rows), ALIGNMENTS)
    test = summary[(summary.split == "test") & (summary.risk == "error")].set_index("kind")
    assert test["mean"].to_dict() == pytest.approx(
        {
            "unaligned": 0.5,
            "via": 0.1,
            "joint": 0.05,
            "barycentre, via": 0.2,
            "barycentre, joint": 0.1,
            "simplex, via": 0.3,
            "simplex, joint": 0.2,
        }
    )
    assert test.n.to_dict()["via"] == 12
    assert set(decided(summary).kind) == set(test.index) - {"unaligned"}


@pytest.mark.parametrize("split", ["test", "train"])
def test_text(tmp_path, split):
    """The test split counts where there is one."""
    found = sweep({8: 0.5, 16: 0.5, 32: 0.5}, {8: 0.08, 16: 0.04, 32: 0.02})
    rows = pd.DataFrame(found).assign(split=split)
    for name, table in (("barriers", rows), ("alignments", ALIGNMENTS), ("trials", trial_rows())):
        pd.DataFrame(table).to_parquet(tmp_path / name)
    text = analyse(tmp_path)
    assert f"mlp on digits, weight matching, mean {split} barrier by width" in text
    assert "0.040 [0.040, 0.040]" in text
    assert "direct: mean error barrier at most 0.02 from width 32 on" in text
    assert "loss barrier of direct ~ width^-1.00 [-1.00, -1.00] (3 widths)" in text


def test_without_a_series_nothing_is_drawn(tmp_path):
    rows = pd.DataFrame(joint_rows(8, 0.1, size=4)).assign(loss_centre=0.0, error_centre=0.0)
    rows.to_parquet(tmp_path / "barriers")
    joint_alignments(4).to_parquet(tmp_path / "alignments")
    pd.DataFrame(trial_rows()).to_parquet(tmp_path / "trials")
    assert analyse(tmp_path) == "width scaling: no barriers yet"
