"""The whole path with real processes: real Ray, real Parquet, real kills."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from raysweep.commands.gc import garbage
from raysweep.plan.todo import UNFIT
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from tests.inside import carried_out, here
from tests.store.replaced import replace_checkpoints
from tests.tracking.servers import copy_database

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parent.parent
TABLES = ("trials", "metrics", "alignments", "barriers", "curves", "failures")
TIMES = ("seconds", "time", "provenance")
TINY = {
    "name": "tiny",
    "train": {
        "dataset": "digits",
        "width": [4, 8],
        "epochs": 2,
        "batch_size": 64,
        "replicates": 3,
        "init": "pytorch",
        "checkpoints": [1],
    },
    "resources": {"workers": 1},  # a second process of each kind takes longer to start than all the work
    "tracking": {"enabled": False},
}


def command(*arguments):
    return [sys.executable, "-m", "raysweep.cli", *map(str, arguments)]


def raysweep(*arguments, code=0, **environment):
    done = subprocess.run(
        command(*arguments),
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def tables(root, name="tiny"):
    """All tables without times, as text, so that equal means bitwise equal."""
    found = {}
    for table in TABLES:
        frame = pd.read_parquet(f"{root}/sweeps/{name}/{table}")
        found[table] = frame.drop(columns=[c for c in TIMES if c in frame]).map(repr)
    return found


def logs(root):
    """What every run under a root has said, in their order."""
    files = Files(str(root))
    return [files.get(name).decode() for name in files.list("logs")]


def same(one, other):
    return all(one[table].equals(other[table]) for table in TABLES)


OWN = """
import time

import torch
from torch import nn

def narrow(shape, classes, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, classes))

def silent(shape, classes, width):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, width), nn.Hardtanh(100, 101), nn.Linear(width, classes)
    )

def broken(shape, classes, width):
    raise RuntimeError("cannot build")

def descent(parameters, learning_rate, factor):
    return torch.optim.SGD(parameters, lr=learning_rate * factor)

class Waiting(torch.optim.SGD):
    def step(self, closure=None):
        time.sleep(0.02)
        return super().step(closure)

def waiting(parameters, learning_rate):
    return Waiting(parameters, lr=learning_rate)
"""


@pytest.fixture
def own(tmp_path):
    """Settings that name a network and an optimiser in a file of this folder."""
    (tmp_path / "own_networks.py").write_text(OWN)
    functions = ["train.model=own_networks:narrow", "train.optimiser=own_networks:descent"]
    return [*functions, "train.optimiser_options={factor: 0.5}"]


def test_the_command_fills_all_tables_and_does_nothing_again(tiny, own, tmp_path, monkeypatch):
    """The one whole run as a user starts it: with a Ray of its own, with a network and an optimiser of the
    user's, which the processes that a command starts find where the command does."""
    root, sets = tmp_path / "runs", [word for change in own for word in ("--set", change)]
    raysweep("run", tiny, "--root", root, *sets, PYTHONPATH=str(tmp_path))
    found = tables(root)
    assert len(found["trials"]) == 6
    assert len(found["alignments"]) == 6
    assert len(found["barriers"]) == 2 * 2 * (3 + 3 + 3 + 3)
    assert len(found["curves"]) == len(found["barriers"])
    assert found["failures"].empty
    assert found["barriers"].drop_duplicates(["barrier_id", "split"]).shape == found["barriers"].shape
    monkeypatch.syspath_prepend(tmp_path)
    assert same(found, tables(carried_out(tiny, tmp_path / "calm", own)))
    computed = pd.read_parquet(root / "sweeps/tiny/provenance")
    assert computed.command.str.contains("run .*tiny.yaml --root").all()
    for table in ("trials", "alignments", "barriers"):
        assert set(pd.read_parquet(root / "sweeps/tiny" / table).provenance) <= set(computed.provenance)

    def stamps():
        files = [path for path in root.rglob("*") if path.is_file()]
        return {
            path: path.stat().st_mtime_ns
            for path in files
            if path.relative_to(root).parts[0] not in ("tmp", "locks")
        }

    before = stamps()
    assert "training:" not in here("run", tiny, "--root", root, *sets)
    after = stamps()
    changed = {path.name for path in before if after[path] != before[path]}
    assert changed <= {"sweep.yaml"}
    assert "trials 6/6, alignments 6/6, barriers 24/24, failures 0" in here("status", root)


def test_killed_driver_goes_on_and_extension_adds_only_what_is_new(
    machine, session, tiny, undisturbed, tmp_path
):
    """A second driver says that there is one, and stops."""
    words = command("run", tiny, "--root", tmp_path, "--address", machine)
    driver = subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.DEVNULL)
    while not list(tmp_path.glob("trials/*/level_000/done")):
        assert driver.poll() is None
        time.sleep(0.05)
    driver.send_signal(signal.SIGSTOP)  # so that it is there while the second one comes
    output = here("run", tiny, "--root", tmp_path, code=2)
    assert f"another raysweep run works on the sweep tiny under {tmp_path} (process {driver.pid} on" in output
    driver.kill()
    driver.wait()
    (killed,) = logs(tmp_path)
    assert re.search(r"trials +6 +0 +6\n", killed)
    assert not killed.endswith("the end\n")
    assert garbage(Files(str(tmp_path))) == {}
    here("run", tiny, "--root", tmp_path, "--set", "resources.tile_seconds=0.01")  # tiles change no bits
    assert same(tables(tmp_path), tables(undisturbed))
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("trials/*/level_000/*")}
    more = "train.replicates=4"
    assert re.search(r"trials +8 +6 +2\n", here("plan", tiny, "--root", tmp_path, "--set", more))
    carried_out(tiny, tmp_path, [more])
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in kept.items())
    assert len(tables(tmp_path)["trials"]) == 8
    assert "training:" not in here("run", tiny, "--root", tmp_path)  # the replicate is removed again
    assert same(tables(tmp_path), tables(undisturbed))
    assert len(list(tmp_path.glob("trials/*"))) == 8


def test_diverged_training_is_a_failure_and_the_rest_goes_on(session, tiny, tmp_path):
    sets = [
        "--set",
        "train.learning_rate=[0.1, 1e30]",
        "--set",
        "train.width=4",
        "--set",
        "train.replicates=2",
    ]
    output = here("run", tiny, "--root", tmp_path, *sets, code=1)
    rows = pd.read_parquet(tmp_path / "sweeps/tiny/failures")
    failures = rows[rows.attempts > 0]
    assert len(failures) == 2
    assert set(rows.what) == {"trial", "alignment", "barrier"}
    assert all(rows.error.str.contains(trial).any() for trial in failures.id)
    assert failures.error.str.contains(r"not finite at step \d+, learning rate").all()
    assert "Diverged" in output
    assert "Traceback" not in output
    (log,) = logs(tmp_path)
    assert log.count("Traceback") == 2
    told = f"2 failures, for which {len(rows) - 2} other jobs could not be started"
    assert f"{told}: see {tmp_path}/sweeps/tiny/failures" in log
    for trial in failures.id:  # the last good checkpoint is kept
        assert (tmp_path / "trials" / trial / "level_000" / "step_00000000.safetensors").exists()
    assert len(pd.read_parquet(tmp_path / "sweeps/tiny/barriers")) == 4
    again = here("run", tiny, "--root", tmp_path, *sets, code=1)
    assert "2 trainings have diverged and are not repeated" in again
    assert "training:" not in again
    kept = pd.read_parquet(tmp_path / "sweeps/tiny/failures")
    assert set(kept.id) == set(rows.id)
    assert kept[kept.attempts > 0].equals(failures)
    assert "training: 2 to do" in here("run", tiny, "--root", tmp_path, *sets, "--retry-diverged", code=1)


def test_interrupt_ends_with_130(machine, session, tiny, tmp_path):
    words = command("run", tiny, "--root", tmp_path, "--address", machine)
    driver = subprocess.Popen(words, cwd=PROJECT, stderr=subprocess.PIPE, start_new_session=True)
    while not list(tmp_path.glob("trials/*")):
        assert driver.poll() is None
        time.sleep(0.05)
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 130, errors.decode()
    assert b"goes on from here" in errors
    assert logs(tmp_path)[0].endswith("interrupted; the same command goes on from here\n")


def test_sigterm_to_the_whole_group_leaves_resume_points_and_tables(tiny, own, tmp_path, monkeypatch):
    """As `timeout` sends it: Ray's processes survive it, and the driver ends them.

    The networks of very many epochs wait at every step, and so use no processor.
    """
    monkeypatch.syspath_prepend(tmp_path)
    root = tmp_path / "runs"
    sets = ["train.epochs=[1, 100000]", "train.width=4", "train.replicates=2", "train.checkpoints=[]"]
    sets += ["resources.workers=3", "resources.trial.cpu=0.5", "resources.resume_seconds=1000"]
    sets += ["resources.publish_seconds=1", "train.optimiser=own_networks:waiting"]
    words = command("run", tiny, "--root", root, *(word for each in sets for word in ("--set", each)))
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    driver = subprocess.Popen(words, cwd=PROJECT, env=variables, process_group=0, **output)
    while not list(root.glob("trials/*/level_000/done")):  # of a network of one epoch
        assert driver.poll() is None
        time.sleep(0.05)
    published = root / "sweeps/tiny/trials"
    while not published.exists() or pd.read_parquet(published).empty:  # while the run goes on
        assert driver.poll() is None
        time.sleep(0.2)
    while not (root / "claims.html").exists():
        assert driver.poll() is None
        time.sleep(0.05)
    assert "; running, " in here("status", root)
    began = time.monotonic()
    os.killpg(driver.pid, signal.SIGTERM)
    printed = driver.communicate(timeout=60)[0].decode()
    assert driver.returncode == 143, printed
    assert time.monotonic() - began < 20
    assert "the same command goes on from here" in printed
    assert not [word for word in ("Traceback", "SIGTERM", "***") if word in printed], printed
    assert len(list(root.glob("trials/*/resume"))) == 2
    assert "running" not in here("status", root)
    assert len(pd.read_parquet(root / "sweeps/tiny/trials")) in (1, 2)


@pytest.mark.versions
def test_pruned_networks_and_branches_from_the_command_line(session, tiny, tmp_path):
    """Branches wait for trials and alignments; more levels do only what is new."""
    prune = "{levels: 2, rewind: 5st, branches: [random, transport]}"
    sets = ["--set", "train.width=4", "--set", "train.replicates=2", "--set", f"prune={prune}"]
    sets += ["--set", "analyses=[pruning, transport]"]
    output = here("run", tiny, "--root", tmp_path, *sets, "--verbose")
    assert "mask transport, level permutation" in output
    trials = pd.read_parquet(tmp_path / "sweeps/tiny/trials")
    assert trials.groupby("branch").trial_id.nunique().to_dict() == {"main": 4, "random": 2, "transport": 6}
    assert set(trials.mask_permutation.dropna()) == {"none", "dense", "level"}
    barriers = pd.read_parquet(tmp_path / "sweeps/tiny/barriers")
    direct = barriers[(barriers.kind == "direct") & (barriers.level == 2)]
    assert set(zip(direct.step, direct.permutation_level, strict=True)) == {(5, 0), (5, 2), (44, 0), (44, 2)}
    assert (barriers[barriers.permutation_level.notna()].permutation_step == 44).all()
    stored = {path: path.stat().st_mtime_ns for path in tmp_path.glob("trials/*/level_*/*")}
    carried_out(tiny, tmp_path, [*sets[1::2], "prune.levels=3"])
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stored.items())
    assert pd.read_parquet(tmp_path / "sweeps/tiny/trials").level.max() == 3
    assert not list(tmp_path.glob("trials/*/resume"))


def test_both_methods_fill_the_tables(tiny, tmp_path):
    changes = ["align.methods=[weight_matching, activation_matching]", "train.width=8"]
    carried_out(tiny, tmp_path, [*changes, "train.replicates=2", "train.norm=batch"])
    alignments = pd.read_parquet(tmp_path / "sweeps/tiny/alignments")
    assert alignments.method.value_counts().to_dict() == {"weight_matching": 1, "activation_matching": 1}
    barriers = pd.read_parquet(tmp_path / "sweeps/tiny/barriers").query(
        "kind == 'direct' and split == 'test'"
    )
    counts = barriers.groupby(["method", "statistics"]).size()
    assert counts.to_dict() == {
        (method, statistics): 1
        for method in ("weight_matching", "activation_matching")
        for statistics in ("kept", "recomputed")
    }
    layers = pd.read_parquet(tmp_path / "sweeps/tiny/layers")
    weights = layers[
        layers.alignment_id.isin(alignments.alignment_id[alignments.method == "weight_matching"])
    ]
    total = weights.groupby("alignment_id").after.sum()
    objective = alignments.set_index("alignment_id").objective
    assert (total - objective[total.index]).abs().max() < 1e-6 * objective.abs().max()


def test_more_checkpoints_are_said_to_be_recomputed(tiny, undisturbed):
    """The ids stay; the plan says that finished trials are trained once more, to the same numbers."""
    plan = here("plan", tiny, "--root", undisturbed, "--set", "train.checkpoints={first: 2st, factor: 2}")
    assert "6 finished levels are computed again (the same numbers)" in plan


def test_weights_that_a_run_replaces_have_all_that_used_them_computed_again(
    session, tiny, undisturbed, tmp_path
):
    """A trial was trained on another kind of machine, and what is asked for lacks one of its checkpoints."""
    shutil.copytree(undisturbed, tmp_path / "root")
    files = Files(str(tmp_path / "root"))
    store, trial_id = TrialStore(files), files.list("trials")[0].split("/")[1]
    replace_checkpoints(files, trial_id)
    carried_out(tiny, files.root)
    assert not same(tables(files.root), tables(undisturbed))
    record = store.record(trial_id, 0)
    last = {
        step: checksum for step, checksum in record.checkpoints.items() if step != min(record.checkpoints)
    }
    store.commit(trial_id, 0, replace(record, checkpoints=last))
    output = here("run", tiny, "--root", files.root)
    assert f"trial {trial_id}, level 0: was trained again to other weights" in output
    assert UNFIT in output
    assert same(tables(files.root), tables(undisturbed))


def test_imported_networks_are_aligned_and_compared(tiny, undisturbed, tmp_path):
    trials = pd.read_parquet(undisturbed / "sweeps/tiny/trials").query("width == 8")
    files = [
        str(undisturbed / "trials" / trial / "level_000" / "step_00000044.safetensors")
        for trial in trials.trial_id
    ]
    sweep = {**TINY, "train": {"dataset": "digits", "width": 8, "imports": files}}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(sweep))
    assert "3 imported" in here("import", path, "--root", tmp_path)
    carried_out(path, tmp_path)
    mine = pd.read_parquet(tmp_path / "sweeps/tiny/trials")
    assert sorted(mine.test_loss) == sorted(trials.test_loss)
    assert set(mine.branch) == {"imported"}
    theirs = pd.read_parquet(undisturbed / "sweeps/tiny/barriers").query("width == 8 and kind == 'unaligned'")
    same = pd.read_parquet(tmp_path / "sweeps/tiny/barriers").query("kind == 'unaligned'")
    assert sorted(same.loss_barrier) == pytest.approx(sorted(theirs.loss_barrier), rel=1e-4)
    sweep["train"]["width"] = 9
    path.write_text(yaml.safe_dump(sweep))
    assert "does not fit train.model = mlp" in here("import", path, "--root", tmp_path, code=2)


def test_networks_of_ones_own_that_cannot_be_used(tiny, own, tmp_path, monkeypatch):
    run = ["run", tiny, "--root", tmp_path / "runs", "--set", "train.width=4", "--set"]
    monkeypatch.syspath_prepend(tmp_path)
    assert "no_such_module" in here(*run, "train.model=no_such_module:net", code=2)
    assert "missing" in here(*run, "train.model=own_networks:missing", code=2)
    assert "cannot build" in here(*run, "train.model=own_networks:broken", code=2)
    assert "1.weight has no effect" in here(*run, "train.model=own_networks:silent", code=2)


def test_bad_input_exits_with_2(tiny, tmp_path):
    assert "did you mean 'width'" in raysweep("plan", tiny, "--set", "train.widht=3", code=2)
    missing = ["--set", "train.dataset=fashion_mnist", "--set", f"train.data_root={tmp_path}"]
    assert "dataset-fashion-mnist" in here("run", tiny, "--root", tmp_path / "runs", *missing, code=2)
    assert "are not on this machine" in here("plan", tiny, *missing)
    (tmp_path / "file").write_text("")
    assert "is a file" in here("run", tiny, "--root", tmp_path / "file", code=2)


@pytest.mark.versions
def test_tracking_server_that_is_down_loses_nothing(tiny, undisturbed, tmp_path, monkeypatch):
    """Figures in folders are artifacts too."""
    root = shutil.copytree(undisturbed, tmp_path / "root")
    figures = root / "sweeps/tiny/figures"
    for figure in (figures / "one.png", figures / "more/two.png"):
        figure.parent.mkdir(parents=True, exist_ok=True)
        figure.write_bytes(b"")
    copy_database(root / "mlflow.db")
    track = ["run", tiny, "--root", root, "--set", "tracking.enabled=true"]
    with monkeypatch.context() as down:
        down.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        assert "the next run logs what is missing" in here(*track)
    assert "mlflow ui" in here(*track)
    assert (root / "sweeps/tiny/tracking.json").exists()
    stored = {path.relative_to(path.parents[1]) for path in (root / "mlartifacts").rglob("*.png")}
    assert stored == {Path("figures/one.png"), Path("more/two.png")}
