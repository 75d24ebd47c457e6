"""Several sweep files under one command."""

import contextlib
import sys

import pandas as pd
import pytest
import yaml

from raysweep.commands import run as execute
from raysweep.errors import VERIFY, CorruptObject
from tests.inside import here
from tests.test_run import TINY

pytestmark = pytest.mark.slow


@pytest.fixture
def files(tmp_path):
    """Files of two sweeps, the first of which diverges in half of its trials."""
    paths = []
    for name, rates in (("first", [0.1, 1e30]), ("second", [0.1])):
        train = {**TINY["train"], "width": 4, "epochs": 1, "replicates": 2, "checkpoints": []}
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**TINY, "name": name, "train": {**train, "learning_rate": rates}}))
        paths.append(path)
    return paths


def test_one_after_the_other_with_the_worst_exit_code(session, files, tmp_path):
    sets = ["--set", "compare.kinds=[unaligned]"]
    output = here("run", *files, "--root", tmp_path / "runs", *sets, code=1)
    assert output.index("sweep first") < output.index("sweep second")
    barriers = [pd.read_parquet(tmp_path / "runs/sweeps" / name / "barriers") for name in ("first", "second")]
    assert [set(table.kind) for table in barriers] == [{"unaligned"}] * 2
    assert barriers[0].equals(barriers[1])  # what two sweeps share is computed once
    assert output.count("training: ") == 1


def test_all_files_are_checked_before_the_first_starts(files, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: broken\ntrain: {dataset: digits, widht: 3}\n")
    output = here("run", files[1], broken, tmp_path / "none.yaml", "--root", tmp_path / "runs", code=2)
    assert "did you mean 'width'" in output
    assert "none.yaml: No such file" in output
    assert not (tmp_path / "runs").exists()


def test_the_symmetries_of_all_files_are_proved_before_the_first_starts(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "silent.py").write_text(
        "from torch import nn\ndef net(shape, classes):\n"
        "    layers = [nn.Flatten(), nn.Linear(64, 4), nn.Hardtanh(100, 101)]\n"
        "    return nn.Sequential(*layers, nn.Linear(4, classes))\n"
    )
    unknown = tmp_path / "unknown.yaml"
    train = {**TINY["train"], "model": "silent:net", "width": 4, "epochs": 1, "replicates": 2}
    unknown.write_text(yaml.safe_dump({**TINY, "name": "unknown", "train": train}))
    output = here("run", files[1], unknown, "--root", tmp_path / "runs", code=2)
    assert "train.model = silent:net" in output
    assert not (tmp_path / "runs" / "trials").exists()


def test_two_files_of_one_name_are_refused(files, tmp_path):
    output = here("plan", *files, "--root", tmp_path / "runs", "--set", "name=same", code=2)
    assert "second.yaml: an earlier file has the same name = same" in output


def test_plans(files, tmp_path):
    output = here("plan", *files, "--root", tmp_path / "runs")
    assert output.index("sweep first") < output.index("sweep second")


def test_storage_that_fails_for_one_does_not_keep_the_others_from_running(
    files, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(execute, "_one_session", lambda *_: contextlib.nullcontext())
    (tmp_path / "sweeps").mkdir()
    for name in ("first", "second"):
        (tmp_path / "sweeps" / name).write_text("no directory")
    assert execute.execute(list(map(str, files)), str(tmp_path), None, None) == 1
    assert capsys.readouterr().err.count("the same command goes on from here") == 2


def test_a_damaged_object_of_one_does_not_keep_the_others_from_running(files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(execute, "_one_session", lambda *_: contextlib.nullcontext())

    def damaged(wanted, *_):
        raise CorruptObject(f"{wanted.sweep.name}: the checksum does not match")

    monkeypatch.setattr(execute, "_run", damaged)
    assert execute.execute(list(map(str, files)), str(tmp_path / "runs"), None, None) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [f"error: {name}: the checksum does not match; {VERIFY}" for name in ("first", "second")]
