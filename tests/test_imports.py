"""Commands that only look import nothing large: Ray, torch, MLflow and scikit-learn take seconds each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raysweep.cli import app
from raysweep.plan.done import done
from raysweep.store.files import Files
from raysweep.tables.publishing import publish_tables
from tests.plan.test_probes import forget
from tests.work.plans import plan

PROJECT = Path(__file__).parents[1]
LARGE = {"ray", "torch", "mlflow", "sklearn", "matplotlib"}
SWEEP = """
name: s
train: {dataset: digits, width: [6, 7], epochs: 1, norm: batch}
prune: {levels: 2, exclude: [output]}
compare: {trajectory: {hybrids: [bottom_up]}, across: [widths]}
"""
ASK = """
import sys
from typer.testing import CliRunner
from raysweep.cli import app
for words in {words}:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
print(*sys.modules)
"""


@pytest.mark.slow
def test_commands_that_look_import_little(tmp_path, monkeypatch):
    sweep, root = tmp_path / "sweep.yaml", tmp_path / "root"
    sweep.write_text(SWEEP)
    wanted, files = plan(), Files(str(root))
    publish_tables(files, wanted, done(wanted, files), [])  # a root with a sweep, of which nothing is done
    monkeypatch.setenv("RAYSWEEP_CACHE", str(tmp_path / "cache"))
    forget()
    words = [["--help"], ["--version"], ["plan", str(sweep), "--root", str(root)], ["status", str(root)]]
    for each in words[2:]:  # finds the facts out, here, where torch is imported anyway
        assert CliRunner().invoke(app, each).exit_code == 0
    script = ASK.format(words=json.dumps(words))
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    again = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert "raysweep.plan.todo" in again.stdout.split()
    assert not LARGE & set(again.stdout.split())
