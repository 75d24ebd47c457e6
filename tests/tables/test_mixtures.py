"""A setting whose networks were trained on two kinds of machines is named with them."""

import pytest

from raysweep.store.files import Files
from raysweep.store.parquet import table_of
from raysweep.store.provenance import write_provenance
from raysweep.tables.mixtures import NAMED, fallbacks, mixtures, warnings
from raysweep.tables.publication import packed
from raysweep.tables.schemas import schema

ROW = {
    **{"group": "a1", "model": "vgg16", "width": 64, "dataset": "cifar10"},
    **{"hardware": "NVIDIA A100", "software": "torch 2.11.0", "execution": "compiled"},
}


def test_networks_of_one_kind_are_no_mixture():
    other = {**ROW, "group": "b2", "hardware": "NVIDIA H100"}  # settings may differ from each other
    unknown = {**ROW, **dict.fromkeys(("hardware", "software", "execution"))}
    assert mixtures([ROW, ROW, other, unknown]) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [("hardware", "NVIDIA H100"), ("software", "torch 2.12.0"), ("execution", "plain")],
)
def test_a_setting_that_mixes_is_named_with_the_values(column, value):
    (line,) = mixtures([ROW, ROW, {**ROW, column: value}])
    assert line.startswith("warning: ")
    for word in (
        "vgg16, width 64, on cifar10",
        "group a1",
        f"{column}: ",
        f"{ROW[column]} (2)",
        f"{value} (1)",
    ):
        assert word in line


def test_the_alignments_of_a_setting_on_two_models_of_processors_are_named(tmp_path):
    """They have the same vector instructions, but libraries choose by the model."""
    files = Files(str(tmp_path))
    facts = [{"device": "cpu", "cpu": name} for name in ("EPYC", "Xeon")]
    facts += [{"device": "cuda", "cpu": name} for name in ("Grace", "Vera")]  # they computed nothing
    digests = [write_provenance(files, each) for each in facts]
    alone = {**dict.fromkeys(schema("alignments").names), **ROW, "group": "b2"}
    found = [{**alone, "group": "a1", "provenance": digests[n], "alignment_id": str(n)} for n in (0, 0, 1)]
    found += [{**alone, "provenance": each, "alignment_id": "9"} for each in digests[2:]]
    rows = {
        "alignments": found,
        "provenance": [
            {**dict.fromkeys(schema("provenance").names), **each, "provenance": name}
            for name, each in zip(digests, facts, strict=True)
        ],
    }
    for table, content in rows.items():
        names = schema(table).names
        kept = [{name: row[name] for name in names} for row in content]
        packed_rows = packed(table, [table_of(kept, schema(table))], empty=True)
        files.put(f"sweeps/s/{table}/00.parquet", packed_rows)
    (line,) = warnings(files, "s")
    assert "the alignments of one setting (vgg16, width 64, on cifar10, group a1)" in line
    assert line.endswith("differ in processor: EPYC (2) and Xeon (1)")


def test_of_many_such_settings_a_few_are_named():
    rows = [{**ROW, "group": str(number), "hardware": gpu} for number in range(20) for gpu in ("A", "B")]
    lines = mixtures(rows)
    assert len(lines) == NAMED + 1
    assert lines[-1] == f"warning: so do those of {20 - NAMED} more settings"


def test_reasons_for_which_steps_were_not_executed_as_asked_are_counted():
    rows = [{**ROW, "fallback": None}] + [
        {**ROW, "execution": "captured", "fallback": "not compiled (why)"}
    ] * 2
    (line,) = fallbacks(rows)
    assert line == "warning: the training steps of 2 networks are captured, not compiled (why)"
