import pandas as pd
import pytest

from analysis.figures.style import caption_of
from analysis.methods import analyse, compared, ratios, summarise, verdicts
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

OTHER, THIRD = "learned", "frank_wolfe"


def alignments():
    """The alignments of all pairs and triples by three methods; the others take ten times as long."""
    first = pd.concat([pair_alignments(), joint_alignments()]).assign(
        method=METHOD, objective=2.0, seconds=0.1
    )
    others = [
        first.assign(method=name, objective=1.0, seconds=1.0, alignment_id=first.alignment_id + name)
        for name in (OTHER, THIRD)
    ]
    return pd.concat([first, *others])


def by(method, rows):
    """The same rows by another method."""
    ids = [[each + ("" if method == METHOD else method) for each in row["alignments"]] for row in rows]
    return [
        {**row, "method": method, "alignments": own, "barrier_id": row["barrier_id"] + method}
        for row, own in zip(rows, ids, strict=True)
    ]


def computed(function, *rows):
    return function(compared(pd.DataFrame([each for part in rows for each in part])), alignments())


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
    found = computed(ratios, *PAIRS, *TRIPLES)
    assert set(found.against) == {METHOD}
    errors = found[(found.risk == "error") & (found.method == OTHER)].set_index("kind").ratio
    assert errors.to_dict() == pytest.approx(
        {"pairs": 0.25, "pairs of 3 aligned jointly": 1.0, "three networks mixed at once": 2.0}
    )


def test_objective_and_seconds_are_means_over_the_alignments():
    found = computed(summarise, *PAIRS).groupby("method")[["objective", "seconds"]].first()
    assert found.loc[METHOD].tolist() == pytest.approx([2.0, 0.1])
    assert found.loc[OTHER].tolist() == pytest.approx([1.0, 1.0])


def test_ratios_are_paired_by_networks():
    """Barriers that differ from pair to pair, but by the same factor, leave nothing uncertain."""
    first, second = ([dict(row) for row in rows] for rows in PAIRS)
    for place, (one, other) in enumerate(zip(first, second, strict=True), start=1):
        one["loss_barrier"], other["loss_barrier"] = place, place / 2
    found, means = (computed(function, first, second) for function in (ratios, summarise))
    row = found[found.risk == "loss"].iloc[0]
    assert (row.ratio, row.ratio_low, row.ratio_high) == pytest.approx((0.5, 0.5, 0.5))
    row = means[(means.risk == "loss") & (means.method == OTHER)].iloc[0]
    assert row.high - row.low > 0.1


def test_verdicts_say_which_method_is_lower_at_which_width():
    sentences = list(verdicts(computed(ratios, *PAIRS, *TRIPLES)))
    assert (
        "pairs, learned against weight matching, loss barrier: below at every width; "
        "ratio by width 8: 0.250 [0.250, 0.250]"
    ) in sentences
    assert any("three networks mixed at once, learned" in each and ": above at" in each for each in sentences)


def test_learned_permutations_are_compared_with_those_of_every_other_method():
    """Below both at width 8; at width 16 below weight matching alone."""
    wide = (pair_rows("direct", 16, level, METHOD) for level in (0.4, 0.2, 0.2))
    rows = [by(method, each) for method, each in zip((METHOD, OTHER, THIRD), wide, strict=True)]
    rows += [*PAIRS, by(THIRD, pair_rows("direct", 8, 0.2, METHOD))]
    sentences = list(verdicts(computed(ratios, *rows)))
    assert (
        "pairs, learned against frank wolfe, loss barrier: below at 8; undecided: the interval straddles 1 "
        "at 16; ratio by width 8: 0.500 [0.500, 0.500], 16: 1.000 [1.000, 1.000]"
    ) in sentences
    assert (
        "pairs, learned against each other method, loss barrier: below all of them at 8; "
        "not below frank wolfe at 16"
    ) in sentences
    assert not any(each.startswith("pairs, frank wolfe against learned") for each in sentences)


def test_other_kinds_belong_to_other_questions():
    rows = pd.DataFrame([*PAIRS[0], *pair_rows("unaligned", 8, 1.0), *pair_rows("via", 8, 1.0, METHOD)])
    assert set(compared(rows).kind) == {"pairs"}


def test_text(tmp_path):
    trials = pd.DataFrame(trial_rows([network[0] for network in NETWORKS]))
    tables = {"alignments": alignments(), "trials": trials}
    for name, table in {"barriers": pd.DataFrame([*PAIRS[0], *PAIRS[1], *TRIPLES[0]]), **tables}.items():
        table.to_parquet(tmp_path / name)
    text = analyse(tmp_path)
    assert "0.100 [0.100, 0.100]" in text
    assert "mean test barrier by width" in text
    assert caption_of(tmp_path / "figures/methods_mlp_digits.png").startswith("Test barriers")


def test_one_method_is_compared_with_nothing(tmp_path):
    tables = {"alignments": alignments(), "trials": pd.DataFrame(trial_rows())}
    for name, table in {"barriers": pd.DataFrame(PAIRS[0]), **tables}.items():
        table.to_parquet(tmp_path / name)
    assert "one method alone (weight matching)" in analyse(tmp_path)
