import pandas as pd
import pytest

from analysis.calibration import analyse, midpoints, summarise, trends, verdicts
from tests.analysis.barrier_rows import METHOD, pair_alignments, pair_rows, trial_rows

ALIGNMENTS = pair_alignments()


def measured(rows, left, measure="calibrated_loss", part=None):
    """Rows of `measures`: calibration leaves a share of the excess loss at the midpoint."""
    return [
        {
            "barrier_id": row["barrier_id"],
            "split": row["split"],
            "measure": measure,
            "part": part,
            "centre_excess": left * row["loss_centre"],
        }
        for row in rows
    ]


def pairs_of(kind, width, method=None):
    return pair_rows(kind, width, 0.4, method, splits=("test",), loss_centre=0.4)


def tables(left, *others):
    """Unaligned pairs by width, of whose excess loss calibration leaves the shares `left`."""
    rows = {width: pairs_of("unaligned", width) for width in left}
    found = [each for width, share in left.items() for each in measured(rows[width], share)]
    return pd.DataFrame([row for each in rows.values() for row in each]), pd.DataFrame([*found, *others])


def test_midpoints_are_those_that_were_measured():
    barriers, measures = tables({8: 0.5})
    found = midpoints(barriers, measures[measures.barrier_id != barriers.barrier_id[0]])
    assert len(found) == len(barriers) - 1
    assert found.calibrated.tolist() == pytest.approx((found.loss_centre / 2).tolist())
    assert found.ensemble.isna().all()


def test_what_calibration_leaves_and_whether_it_falls_with_width():
    pairs = midpoints(*tables({8: 0.5, 16: 0.25}))
    summary = summarise(pairs, ALIGNMENTS).set_index(["width", "series"])
    assert summary.ratio.dropna().to_dict() == pytest.approx(
        {(8, "unaligned, calibrated"): 0.5, (16, "unaligned, calibrated"): 0.25}
    )
    left, plain, calibrated = verdicts(summary.reset_index(), trends(pairs, ALIGNMENTS))
    assert "unaligned: excess loss at the midpoint, calibrated against plain: below at every width" in left
    assert "ratio by width 8: 0.500 [0.500, 0.500], 16: 0.250" in left
    assert plain.startswith("unaligned: excess loss at the midpoint at width 16 against width 8: undecided")
    assert "against width 8: below; ratio 0.500 [0.500, 0.500]" in calibrated


def test_the_ensemble_is_a_series_of_its_own():
    barriers, measures = tables({8: 0.5})
    rows = barriers.to_dict("records")
    ensemble = measured(rows, -0.1, "ensemble", "loss") + measured(rows, 7, "ensemble", "error")
    found = summarise(midpoints(barriers, pd.concat([measures, pd.DataFrame(ensemble)])), ALIGNMENTS)
    means = found.set_index("series")["mean"]
    assert means["ensemble"] == pytest.approx(-0.1 * means["unaligned"])


def test_text_and_figure(tmp_path):
    aligned = pairs_of("direct", 8, METHOD)
    barriers, measures = tables({8: 0.5}, *measured(aligned, 0.9))
    frames = {
        "barriers": pd.concat([barriers, pd.DataFrame(aligned)]),
        "measures": measures,
        "alignments": ALIGNMENTS,
        "trials": pd.DataFrame(trial_rows()),
    }
    for name, frame in frames.items():
        frame.to_parquet(tmp_path / name)
    text = analyse(tmp_path)
    assert "direct: excess loss at the midpoint, calibrated against plain: below at every width" in text
    assert len(list((tmp_path / "figures").glob("calibration_*.png"))) == 1
    measures[:0].to_parquet(tmp_path / "measures")
    assert analyse(tmp_path) == "calibration: no calibrated loss (compare.measures: calibrated_loss)"
