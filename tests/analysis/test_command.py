"""The command line that all questions share."""

import sys

import pandas as pd
import pytest

from analysis import width_scaling
from analysis.command import command
from raysweep.tables.frames import REPAIRED
from tests.analysis.planned import planned
from tests.analysis.sweeps import weak_tables, write


@pytest.mark.parametrize(
    ("sweep", "problem"),
    [
        ("begun", "sweep 'begun' under {root} has no tables yet; `raysweep run` publishes them\n"),
        ("none", "no sweep 'none' under {root}; there: begun, mine\n"),
    ],
)
def test_a_sweep_without_tables_is_one_error(tmp_path, monkeypatch, capsys, sweep, problem):
    write(tmp_path, "begun", ["weak"])
    write(tmp_path, "mine", ["weak"], **weak_tables())
    monkeypatch.setattr(sys, "argv", ["weak", str(tmp_path), "--sweep", sweep])
    with pytest.raises(SystemExit) as raised:
        command("A question.", "weak_digits", lambda folder: 1 / 0)
    assert raised.value.code == 2
    assert capsys.readouterr().err.endswith("error: " + problem.format(root=tmp_path))


def without_groups(path):
    pd.read_parquet(path).drop(columns="group").to_parquet(path)


@pytest.mark.parametrize(
    ("table", "damage", "problem"),
    [
        ("trials", lambda path: path.write_bytes(path.read_bytes()[:-9]), "trials/00.parquet: is damaged"),
        ("barriers", lambda path: path.write_bytes(b""), "barriers/00.parquet: is damaged"),
        (
            "trials",
            lambda path: path.write_bytes(b"PAR1" + bytes(3000) + path.read_bytes()[3004:]),
            "trials/00.parquet: is damaged",
        ),
        ("alignments", lambda path: path.unlink(), "alignments: is missing"),
        ("trials", without_groups, "trials/00.parquet: lacks the columns group"),
    ],
)
def test_a_damaged_table_is_one_error(tmp_path, monkeypatch, capsys, table, damage, problem):
    folder = write(tmp_path, "mine", **planned({}))
    damage(folder / table / "00.parquet")
    monkeypatch.setattr(sys, "argv", ["width_scaling", str(tmp_path), "--sweep", "mine"])
    with pytest.raises(SystemExit) as raised:
        command("A question.", "quickstart", width_scaling.analyse)
    assert raised.value.code == 2
    said = capsys.readouterr().err.partition("error: ")[2]
    assert said == f"{folder}/{problem}; {REPAIRED}\n"
