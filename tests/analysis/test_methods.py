import pandas as pd
import pytest

from analysis.methods import analyse, compared, summarise, verdicts
from tests.analysis.barrier_rows import (
    METHOD,
    NETWORKS,
    joint_alignments,
    joint_rows,
    pair_alignments,
    pair_rows,
    set_rows,
    trial_rows,
)

OTHER = "learned"


def alignments():
    """The alignments of all pairs and triples by two methods; the second takes ten times as long."""
    first = pd.concat([pair_alignments(), joint_alignments()]).assign(
        method=METHOD, objective=2.0, seconds=0.1
    )
    second = first.assign(
        method=OTHER, objective=1.0, seconds=1.0, alignment_id=first.alignment_id + "learned"
    )
    return pd.concat([first, second])


def by(method, rows):
    """The same rows by another method."""
    ids = [[each + ("" if method == METHOD else method) for each in row["alignments"]] for row in rows]
    return [
        {**row, "method": method, "alignments": own, "barrier_id": row["barrier_id"] + method}
        for row, own in zip(rows, ids, strict=True)
    ]


def summary(*rows):
    return summarise(compared(pd.DataFrame([each for part in rows for each in part])), alignments())


PAIRS = (
    by(METHOD, pair_rows("direct", 8, 0.4, METHOD)),
    by(OTHER, pair_rows("direct", 8, 0.1, METHOD)),
)
TRIPLES = (
    by(METHOD, set_rows("joint", 8, 0.4)),
    by(OTHER, set_rows("joint", 8, 0.8)),
    by(METHOD, joint_rows(8, 0.2)),
    by(OTHER, joint_rows(8, 0.2)),
)


def test_ratios_by_kind_are_those_to_weight_matching():
    found = summary(*PAIRS, *TRIPLES)
    ratios = found[(found.risk == "error") & (found.method == OTHER)].set_index("kind").ratio
    assert ratios.to_dict() == pytest.approx(
        {"pairs": 0.25, "pairs of 3 aligned jointly": 1.0, "three networks mixed at once": 2.0}
    )


def test_objective_and_seconds_are_means_over_the_alignments():
    found = summary(*PAIRS).groupby("method")[["objective", "seconds"]].first()
    assert found.loc[METHOD].tolist() == pytest.approx([2.0, 0.1])
    assert found.loc[OTHER].tolist() == pytest.approx([1.0, 1.0])


def test_ratios_are_paired_by_networks():
    """Barriers that differ from pair to pair, but by the same factor, leave nothing uncertain."""
    first, second = ([dict(row) for row in rows] for rows in PAIRS)
    for place, (one, other) in enumerate(zip(first, second, strict=True), start=1):
        one["loss_barrier"], other["loss_barrier"] = place, place / 2
    found = summary(first, second)
    row = found[(found.risk == "loss") & (found.method == OTHER)].iloc[0]
    assert (row.ratio, row.ratio_low, row.ratio_high) == pytest.approx((0.5, 0.5, 0.5))
    assert row.high - row.low > 0.1


def test_verdicts_say_which_method_is_lower_at_which_width():
    sentences = list(verdicts(summary(*PAIRS, *TRIPLES)))
    assert (
        "pairs, learned against weight matching, loss barrier: below at every width; "
        "ratio by width 8: 0.250 [0.250, 0.250]"
    ) in sentences
    assert any("three networks mixed at once, learned" in each and ": above at" in each for each in sentences)


def test_other_kinds_and_the_training_set_belong_to_other_questions():
    rows = pd.DataFrame([*PAIRS[0], *pair_rows("unaligned", 8, 1.0), *pair_rows("via", 8, 1.0, METHOD)])
    found = compared(rows)
    assert (set(found.kind), set(found.split)) == ({"pairs"}, {"test"})
    assert set(compared(rows[rows.split == "train"]).split) == {"train"}


def test_text(tmp_path):
    trials = pd.DataFrame(trial_rows([network[0] for network in NETWORKS]))
    tables = {"alignments": alignments(), "trials": trials}
    for name, table in {"barriers": pd.DataFrame([*PAIRS[0], *PAIRS[1], *TRIPLES[0]]), **tables}.items():
        table.to_parquet(tmp_path / name)
    assert "0.100 [0.100, 0.100]" in analyse(tmp_path)
    assert (tmp_path / "figures/methods_mlp_digits.png").stat().st_size > 0


def test_one_method_is_compared_with_nothing(tmp_path):
    tables = {"alignments": alignments(), "trials": pd.DataFrame(trial_rows())}
    for name, table in {"barriers": pd.DataFrame(PAIRS[0]), **tables}.items():
        table.to_parquet(tmp_path / name)
    assert "one method alone (weight matching)" in analyse(tmp_path)
