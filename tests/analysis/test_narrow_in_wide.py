from itertools import product

import pandas as pd
import pytest

from analysis.narrow_in_wide import analyse, summarise, verdicts
from tests.analysis.barrier_rows import pair_rows, trial_rows

NARROW, WIDE = "abcd", "efgh"
WIDTHS = dict.fromkeys(NARROW, 8) | dict.fromkeys(WIDE, 16)


def tables(embedded):
    across = {"across": "widths", "group": "across"}
    wide_first = [(f"{wide}@0@9", f"{narrow}@0@9") for wide, narrow in product(WIDE, NARROW)]
    rows = pair_rows("direct", 8, 0.1, "weight_matching", ("a@0@9", "b@0@9"))
    for networks in wide_first:
        rows += pair_rows("unaligned", None, 0.5, None, networks, **across)
        rows += pair_rows("embedded", None, embedded, "weight_matching", networks, **across)
    trials = pd.DataFrame(trial_rows(NARROW + WIDE))
    tested = [row for row in rows if row["split"] == "test"]
    return pd.DataFrame(tested), trials.assign(width=trials.trial_id.map(WIDTHS))


@pytest.mark.parametrize(("embedded", "word"), [(0.02, "holds in the mean"), (0.03, "fails")])
def test_rows_and_verdicts_by_both_widths(embedded, word):
    summary = summarise(*tables(embedded))
    assert set(zip(summary.narrow, summary.wide, summary.alignment, summary.n, strict=True)) == {
        (8, 8, "embedded", 1),
        (8, 16, "embedded", 16),
        (8, 16, "unaligned", 16),
    }
    same, found = verdicts(summary)
    assert same == (
        "width 8 in 8: mean error barrier at most 0.02: undecided: no unaligned baseline "
        "(0.100, maximum 0.100, 0% of 1 pairs connected)"
    )
    start = f"width 8 in 16: mean error barrier at most 0.02: {word} ({embedded:.3f} [{embedded:.3f}"
    assert found.startswith(start)


def test_narrow_networks_that_are_connected_anyway_say_nothing():
    barriers, trials = tables(0.01)
    barriers.loc[barriers.kind == "unaligned", "error_barrier"] = 0.02
    assert "not informative" in verdicts(summarise(barriers, trials))[1]


def test_table_and_figure(tmp_path):
    for name, table in zip(("barriers", "trials"), tables(0.02), strict=True):
        table.to_parquet(tmp_path / name)
    text = analyse(tmp_path)
    assert "mlp on digits, weight matching: mean test barrier of narrow networks in wide ones" in text
    assert "0.500 [0.500, 0.500]" in text  # unaligned, in the table
    assert "width 8 in 16" in text
    assert (tmp_path / "figures/narrow_in_wide_mlp_digits.png").stat().st_size > 0
