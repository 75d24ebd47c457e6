"""The command line that all questions share."""

import sys

import pytest

from analysis.command import command
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
