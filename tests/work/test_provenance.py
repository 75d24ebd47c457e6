"""Every trial, alignment and barrier says on what it was computed."""

import platform
import shlex
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version

import pytest
import torch

from raysweep import __version__
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.tables.schemas import read_table
from raysweep.version import checkout, code_digest
from tests.verified import problems
from tests.work.plans import carry_out, compare_all, plan

HERE = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
SOFTWARE = f"torch {torch.__version__}"


def column(files, table, name):
    return set(read_table(files, "s", table).column(name).to_pylist())


def test_the_tables_name_hardware_software_and_execution(tmp_path):
    wanted, files = plan(epochs=1), Files(str(tmp_path))
    carry_out(wanted, files)
    compare_all(wanted, files)
    for table in ("trials", "alignments", "barriers"):
        assert column(files, table, "hardware") == {HERE}
        assert column(files, table, "software") == {SOFTWARE}
    for table in ("trials", "barriers"):
        assert column(files, table, "execution") == {"plain"}


def test_every_result_leads_to_what_computed_it(tmp_path):
    wanted, files = plan(epochs=1), Files(str(tmp_path))
    carry_out(wanted, files)
    compare_all(wanted, files)
    (row,) = read_table(files, "s", "provenance").to_pylist()
    for table in ("trials", "alignments", "barriers"):
        assert column(files, table, "provenance") == {row["provenance"]}
    expected = {"device": "cpu", "hardware": HERE, "software": SOFTWARE, "torch": torch.__version__}
    expected |= {"python": platform.python_version(), "node": platform.node(), "code": code_digest()}
    expected |= {"ray": version("ray"), "gpu": None, "cuda": None, "raysweep": __version__}
    expected |= {"cpu_capability": torch.backends.cpu.get_cpu_capability()}
    assert row == {**row, **expected}
    assert row["cpu"]
    assert row["command"].endswith(shlex.join(sys.argv[1:]))
    assert list(problems(files)) == []
    path = tmp_path / "provenance" / f"{row['provenance']}.json"
    path.write_text(path.read_text().replace("cpu", "gpu"))
    assert any("digest in its name; remove it" in problem for problem in problems(files))


def test_commits_are_those_of_checkouts_alone(tmp_path):
    file = tmp_path / "code.py"
    file.write_text("one")
    assert checkout(tmp_path) == checkout(file) == (None, None)

    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        done = subprocess.run(
            ["git", "-C", tmp_path, *who, *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    first = git("rev-parse", "HEAD")
    assert checkout(tmp_path) == (first, False)
    assert checkout(file) == (None, None)  # as a package that lies in somebody else's checkout
    git("add", "code.py")
    git("commit", "-q", "-m", "second")
    assert checkout(file) == (git("rev-parse", "HEAD"), False)
    file.write_text("other")
    assert checkout(file) == checkout(tmp_path) == (git("rev-parse", "HEAD"), True)


class Stopped(Exception):
    pass


def test_a_trial_that_was_resumed_on_another_machine_names_both(tmp_path):
    wanted, files = plan(epochs=3), Files(str(tmp_path))
    store, trial = TrialStore(files), next(iter(wanted.trials))

    def stop(level, record):
        if store.read_resume(trial):
            raise Stopped

    with pytest.raises(Stopped):
        carry_out(wanted, files, resume_seconds=0, report=stop)
    point = store.read_resume(trial)
    assert point.record.environment["hardware"] == HERE
    elsewhere = {
        **point.record.environment,
        "hardware": "NVIDIA A100",
        "steps": "captured",
        "provenance": "abc",
    }
    store.write_resume(trial, replace(point, record=replace(point.record, environment=elsewhere)))
    carry_out(wanted, files)
    found = store.record(trial, 0).environment
    assert found["hardware"] == f"NVIDIA A100; {HERE}"
    assert found["steps"] == "captured; plain"
    assert found["software"] == SOFTWARE
    assert found["provenance"].startswith("abc; ")
    other = next(key for key in wanted.trials if key != trial)
    assert store.record(other, 0).environment["hardware"] == HERE
