"""The answer of a sweep in a few lines that fit a terminal."""

import pandas as pd
import pytest

from analysis.summary.answer import answer
from tests.analysis import trained
from tests.analysis.barrier_rows import joint_alignments, joint_rows, pair_alignments, pair_rows, via_rows
from tests.analysis.planned import planned
from tests.analysis.sweeps import trials, weak_tables, write

METHOD = "weight_matching"
WIDTHS = (8, 16, 32)


def sweep(tmp_path, weak, via, jointly):
    """A sweep over widths with these error barriers, which are those of all pairs."""
    barriers, alignments, runs = [], [], []
    for width, *found in zip(WIDTHS, weak, via, jointly, strict=True):
        names = tuple(f"{name}{width}@0@9" for name in "abcd")
        barriers += pair_rows("unaligned", width, 0.3, networks=names, splits=("test",))
        barriers += pair_rows("direct", width, found[0], METHOD, names, splits=("test",))
        barriers += via_rows(width, found[1], names) + joint_rows(width, found[2], networks=names)
        alignments += [pair_alignments(names), joint_alignments(networks=names)]
        runs += [{**row, "trial_id": f"{row['trial_id']}{width}"} for row in trials(width)]
    tables = {"trials": runs, "alignments": pd.concat(alignments)}
    return write(tmp_path, "mine", barriers=barriers, **tables)


def test_one_setting_takes_three_lines(tmp_path):
    folder = sweep(tmp_path, weak=(0.1, 0.02, 0.01), via=(0.3, 0.2, 0.1), jointly=(0.1, 0.01, 0.03))
    assert answer(folder) == [
        "mlp on digits, weight matching: is the mean test error barrier at most 0.02?",
        "weak: from width 16 on; strong via a third: fails at width 32; jointly: fails at width 32",
        "the networks' own test error by width: 8: 0.050, 16: 0.050, 32: 0.050",
    ]


def test_what_is_undecided_names_the_replicates_that_would_do(tmp_path):
    folder = sweep(tmp_path, weak=(0.1, 0.1, 0.01), via=(0.1, 0.1, 0.1), jointly=(0.1, 0.1, 0.1))
    path = folder / "barriers" / "00.parquet"
    barriers = pd.read_parquet(path)
    with_a = (
        barriers.kind.eq("direct")
        & barriers.width.eq(16)
        & barriers.networks.map(lambda each: "a16@0@9" in each)
    )
    barriers.loc[with_a, "error_barrier"] = 0.07  # one network stands out, so that the interval is wide
    barriers.loc[barriers.kind.eq("via") & barriers.width.eq(32), "error_barrier"] = [0.0, 0.05] * 6
    barriers.to_parquet(path)
    lines = answer(folder)
    assert lines[1].startswith("weak: from width 32 on; strong via a third: ")
    undecided = " ".join(lines[3:])
    assert undecided.startswith("undecided (replicates that would do): weak at width 16 (11); strong via a")


def test_fewer_than_four_networks_decide_nothing(tmp_path):
    three = ("a@0@9", "b@0@9", "c@0@9")
    barriers = pair_rows("unaligned", 8, 0.3, networks=three) + pair_rows("direct", 8, 0.01, METHOD, three)
    folder = write(tmp_path, "mine", trials=trials()[:3], alignments=pair_alignments(), barriers=barriers)
    assert answer(folder)[1] == "weak: undecided"
    assert answer(folder)[3] == "undecided (replicates that would do): weak at width 8 (at least 4)"


def at_chance(folder, *ids):
    path = folder / "trials" / "00.parquet"
    runs = pd.read_parquet(path)
    lost = runs.trial_id.isin(ids)
    runs.assign(test_error=runs.test_error.mask(lost, 0.9), guess_error=0.9).to_parquet(path)


def test_widths_at_chance_are_named_once_and_split_no_setting(tmp_path):
    folder = sweep(tmp_path, weak=(0.1, 0.02, 0.01), via=(0.3, 0.2, 0.1), jointly=(0.1, 0.01, 0.03))
    at_chance(folder, "a8", "b8", "c8", "d8", "a16")
    lines = answer(folder)
    assert lines[0].startswith("mlp on digits, weight matching: is the mean")
    assert lines[1].startswith("weak: from width 16 on; ")
    assert " ".join(each.strip() for each in lines[2:]) == (
        "the networks' own test error by width: 8: 0.900, 16: 0.263, 32: 0.050; "
        "all networks at chance at width 8; some networks at chance at width 16"
    )


def test_nothing_to_decide_takes_no_line(tmp_path):
    tables = weak_tables()
    tables["barriers"] = pair_rows("unaligned", 8, 0.3)
    assert answer(write(tmp_path, "mine", **tables)) == []


def test_one_table_across_any_swept_keys(tmp_path):
    swept = {"learning_rate": [0.1, 0.01], "norm": ["none", "layer"], "width": [4, 8]}
    tables = planned(swept, compare={"kinds": ["unaligned", "direct", "via"]})
    rows = tables["barriers"]
    low = rows.kind.eq("direct") & rows.norm.eq("layer") & rows.width.eq(8)
    rows["error_barrier"] = 0.3 - 0.29 * low
    tables["trials"]["test_error"] = 0.05
    lines = answer(write(tmp_path, "s", **{name: frame for name, frame in tables.items() if len(frame)}))
    assert lines[0] == "mlp on digits, weight matching: is the mean test error barrier at most 0.02?"
    assert [line.split("  ")[0] for line in lines[2:6]] == [
        "norm layer, learning rate 0.01",
        "norm layer, learning rate 0.1",
        "learning rate 0.01",
        "learning rate 0.1",
    ]
    assert [line.split()[-6:] for line in lines[2:6]] == [
        *[["from", "8", "on", "fails", "at", "8"]] * 2,
        *[["fails", "at", "8", "fails", "at", "8"]] * 2,
    ]
    assert max(map(len, lines)) <= 100
    lost = tables["trials"].norm.eq("layer") & tables["trials"].learning_rate.eq(0.1)
    at_chance(tmp_path / "sweeps/s", *tables["trials"].trial_id[lost & tables["trials"].width.eq(4)])
    with_chance = answer(tmp_path / "sweeps/s")
    assert [line.split("  ")[-1] for line in with_chance[1:6]][::2] == ["at chance", "all at 4", "fails at 8"]


@pytest.mark.parametrize("kinds", [["direct"], ["unaligned", "direct", "via", "joint"]])
def test_lines_fit_a_terminal(tmp_path, kinds):
    tables = planned({"width": [4, 8, 16, 32, 64, 128, 256, 512]}, compare={"kinds": kinds})
    tables["trials"]["test_error"] = 0.123456
    lines = answer(write(tmp_path, "s", **{name: frame for name, frame in tables.items() if len(frame)}))
    assert max(map(len, lines)) <= 100
    assert len(lines) <= 7


def test_training_is_answered_by_the_last_permutation(tmp_path):
    along = [{"kind": "trajectory", "method": METHOD, "group": "g", "step": 3, "fixed_points": 0.5}]
    tables = {"trials": trained.trials(), "alignments": trained.alignments(), "agreements": along}
    lines = answer(write(tmp_path, "mine", barriers=trained.along(), **tables))
    assert lines[1] == "weak: holds; along a training run: holds"


@pytest.mark.parametrize(("first", "count"), [((0.045, 0.02), "18"), ((0.03, 0.01), "over 50")])
def test_a_sequence_takes_the_replicates_that_decide_each_of_its_epochs(tmp_path, first, count):
    """11 would decide epoch 2, where the mean is largest, but not epoch 1."""
    found = {3: first, 6: (0.07, 0.1), 9: (0.0, 0.0)}  # barriers with and without the first network
    barriers = trained.along()
    for row in barriers:
        if row["permutation_step"] == 9:
            row["error_barrier"] = found[row["step"]][row["networks"][0][0] != "a"]
    along = [{"kind": "trajectory", "method": METHOD, "group": "g", "step": 3, "fixed_points": 0.5}]
    tables = {"trials": trained.trials(), "alignments": trained.alignments(), "agreements": along}
    lines = answer(write(tmp_path, "mine", barriers=barriers, **tables))
    assert lines[-1] == f"undecided (replicates that would do): along a training run at width 8 ({count})"


@pytest.mark.parametrize("missing", ["unaligned", None])
def test_more_replicates_are_no_remedy_for_other_reasons(tmp_path, missing):
    three = ("a@0@9", "b@0@9", "c@0@9")
    barriers = pair_rows("unaligned", 8, 0.3, networks=three) + pair_rows("direct", 8, 0.01, METHOD, three)
    kept = [row for row in barriers if row["kind"] != missing]
    folder = write(tmp_path, "mine", trials=trials()[:3], alignments=pair_alignments(), barriers=kept)
    remedy = "no unaligned baseline" if missing else "at least 4"
    assert answer(folder)[3] == f"undecided (replicates that would do): weak at width 8 ({remedy})"


def test_ways_to_prune_have_the_errors_of_their_dense_networks(tmp_path):
    prune = {"levels": 1, "rewind": "1st", "scope": ["global", "layer"]}
    tables = planned({}, prune=prune, compare={"kinds": ["unaligned", "direct"]})
    tables["trials"]["test_error"] = 0.05
    lines = answer(write(tmp_path, "s", **{name: frame for name, frame in tables.items() if len(frame)}))
    assert ["0.050" in line for line in lines[2:]] == 3 * [True]
