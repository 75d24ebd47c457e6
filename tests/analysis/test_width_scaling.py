import pandas as pd
import pytest

from analysis.width_scaling import analyse, decided, summarise, verdicts
from tests.analysis.frames import (
    METHOD,
    joint_alignments,
    joint_rows,
    pair_alignments,
    pair_rows,
    set_rows,
    trial_rows,
    via_rows,
)

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
        ({8: 0.5, 16: 0.5}, {8: 0.1, 16: 0.02}, "from width 16 on"),
        ({8: 0.5, 16: 0.5}, {8: 0.01, 16: 0.02}, "from width 8 on"),
        ({8: 0.5, 16: 0.5}, {8: 0.1, 16: 0.1}, "from no measured width on"),
        ({8: 0.5, 16: 0.5}, {8: 0.01, 16: 0.1}, "from no measured width on; it holds at 8"),
        (
            {8: 0.5, 16: 0.01},
            {8: 0.01, 16: 0.01},
            "from no measured width on; it holds at 8; 16 cannot tell (not informative)",
        ),
    ],
)
def test_from_which_width_on(unaligned, direct, words):
    assert sentence(unaligned, direct).splitlines()[0] == f"direct: error barrier at most 0.02 {words}"


def test_an_interval_across_the_threshold_cannot_tell():
    rows = sweep({8: 0.5}, {8: 0.0})
    for place, row in enumerate(rows[12:]):
        row["error_barrier"] = 0.04 * (place % 4 > 1)
    (found,) = verdicts(summarise(pd.DataFrame(rows), ALIGNMENTS))
    assert found.splitlines()[0].endswith("from no measured width on; 8 cannot tell (undecided)")


def test_every_width_has_mean_interval_maximum_share_and_count():
    rows = sweep({8: 0.5}, {8: 0.01})
    rows[-1]["error_barrier"] = 0.07
    (found,) = verdicts(summarise(pd.DataFrame(rows), ALIGNMENTS))
    line = found.splitlines()[1]
    assert line.startswith("  8: undecided (0.020 [0.0")
    assert line.endswith("maximum 0.070, 83% of 6 pairs)")


def test_series_are_told_apart():
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


def test_text(tmp_path):
    rows = sweep({8: 0.5, 16: 0.5, 32: 0.5}, {8: 0.08, 16: 0.04, 32: 0.02})
    for name, table in (("barriers", rows), ("alignments", ALIGNMENTS), ("trials", trial_rows())):
        pd.DataFrame(table).to_parquet(tmp_path / name)
    text = analyse(tmp_path)
    assert "mlp on digits, weight matching, mean test barrier by width" in text
    assert "0.040 [0.040, 0.040]" in text
    assert "direct: error barrier at most 0.02 from width 32 on" in text
    assert "loss barrier of direct ~ width^-1.00 [-1.00, -1.00] (3 widths)" in text
