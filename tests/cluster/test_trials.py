"""Trials on a real Ray with fake GPUs: resources are what the sweep file says."""

import json
import os
import signal
import threading
import time

import pytest
import ray

from raysweep.cluster import trials
from raysweep.cluster.capacity import name_of
from raysweep.cluster.suspects import Suspects
from raysweep.cluster.trials import train_trials
from raysweep.plan.desired import desired
from raysweep.plan.done import done, finished
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.tables.rows import metric_rows
from raysweep.work.inputs import TrialTask
from tests.cluster import poison
from tests.cluster.test_pool import Hooks
from tests.processes import TRAINING, below
from tests.work.plans import carry_out, contents, metrics


class Waiting:
    """A source of trials that all have their inputs."""

    def __init__(self, wanted):
        self.wanted, self.left = wanted, list(wanted.trials.values())

    @property
    def ready_trials(self):
        return len(self.left)

    def tasks(self, most):
        taken, self.left = self.left[:most], self.left[most:]
        return [TrialTask(trial, self.wanted.extents[trial.trial_id], {}) for trial in taken]

    def level_done(self, trial_id, level):
        pass

    def turn(self, waiting):
        pass


def train(root, wanted, hooks=None):
    """Train all trials; returns the failures."""
    hooks, count = hooks or Hooks(), len(wanted.trials)
    failures = []
    train_trials(str(root), wanted.sweep.sections, count, Waiting(wanted), hooks, Suspects(hooks), failures)
    return failures


def test_half_a_gpu_each_runs_four_trials_at_once(session, tmp_path):
    """Two (fake) GPUs at half a GPU per trial: four run at the same time, never five.

    Each waits in the midst of its training until four have begun.
    """
    poison.switch("ResourceTrainable", 4, f"until 4 {tmp_path}/trials/*/config.json")
    digits = {"dataset": "digits", "model": "tests.cluster.poison:net", "width": 4, "epochs": 1}
    digits |= {"replicates": 5}
    resources = {"trial": {"cpu": 0.5, "gpu": 0.5, "pack": 1}}
    wanted = desired(check("test", {"name": "s", "train": digits, "resources": resources}))
    files = Files(str(tmp_path))
    running = []

    def watch():
        while not over.is_set():
            started = {p.parent.name for p in tmp_path.glob("trials/*/config.json")}
            ended = {p.parent.parent.name for p in tmp_path.glob("trials/*/level_000/done")}
            running.append(len(started - ended))
            time.sleep(0.02)

    over = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    hooks = Hooks()
    try:
        assert train(tmp_path, wanted, hooks) == []
    finally:
        over.set()
        watcher.join()
    assert max(running) == 4
    assert not any(curve for _, curve in hooks.curves)  # they end within the first interval
    present = done(wanted, files)
    assert all(finished(wanted, present, key) for key in wanted.trials)


@pytest.mark.versions
def test_killed_training_process_goes_on_from_its_resume_points(session, tmp_path):
    """kill -9 of a process that trains three trials: Tune starts it again, and all end in the same bits.

    It then trains one trial at a time, because each of them may have been the one that ended the process.
    What they have evaluated is told while they train, from the start of the level on, until they end.
    """
    digits = {"dataset": "digits", "width": 32, "epochs": 30, "replicates": 3, "norm": "batch"}
    resources = {"resume_seconds": 0, "publish_seconds": 1e-6, "trial": {"pack": 3, "cpu": 4}}
    wanted = desired(check("test", {"name": "s", "train": digits, "resources": resources}))
    calm, root = tmp_path / "calm", tmp_path / "killed"
    carry_out(wanted, Files(str(calm)))
    resume = [root / "trials" / trial_id / "resume" for trial_id in wanted.trials]
    killed = []

    def kill():
        found = []
        while not found:  # while Ray rewrites the title of the process, it is not found
            time.sleep(0.02)
            found = below(os.getpid(), TRAINING) if all(each.exists() for each in resume) else []
        (process,) = found
        os.kill(process, signal.SIGKILL)
        killed.append(process)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    hooks = Hooks()
    assert train(root, wanted, hooks) == []
    killer.join(60)
    assert killed
    assert contents(root) == contents(calm)
    assert metrics(wanted, root) == metrics(wanted, calm)
    for trial_id in wanted.trials:
        *texts, last = [curve for key, curve in hooks.curves if key == trial_id]
        told = [json.loads(text) for text in texts]
        record = TrialStore(Files(str(root))).record(trial_id, 0)
        whole = [(row["step"], row["loss"]) for row in metric_rows(trial_id, 0, record)]
        assert max(map(len, told)) > 2
        assert all([(row["step"], row["loss"]) for row in curve] == whole[: len(curve)] for curve in told)
        assert last == ""
    assert not any(each.exists() for each in resume)


def test_a_training_process_that_dies_every_time_is_a_failure(session, tmp_path):
    poison.switch("ResourceTrainable", 5, "kill")
    digits = {"dataset": "digits", "model": "tests.cluster.poison:net", "width": 5, "epochs": 1}
    (failure,) = train(tmp_path, desired(check("test", {"name": "s", "train": digits | {"replicates": 1}})))
    assert "the training process died, or its storage failed, 3 times at the same step" in failure.error
    assert (failure.attempts, failure.node) == (3, name_of(ray.nodes()[0]["NodeID"]))


def test_tune_is_given_trials_in_windows(session, monkeypatch):
    """It keeps each until it ends; a trial that goes on elsewhere belongs to the window in which it began."""
    monkeypatch.setattr(trials, "WINDOW", 2)
    train = {"dataset": "digits", "width": 4, "epochs": 1, "replicates": 4}
    wanted = desired(check("test", {"name": "s", "train": train}))
    source = Waiting(wanted)
    ready = trials._Ready(source, wanted.sweep.sections.resources.trial, Suspects(Hooks()))
    first, second = (ready.suggest(name)["trial_ids"] for name in "ab")
    assert len({*first, *second}) == 2
    assert ready.suggest("c") is None
    ready.again(second[0])
    assert ready.suggest("c")["trial_ids"] == second
    for name in "abc":
        ready.on_trial_complete(name)
    assert ready.suggest("d") == trials.Searcher.FINISHED
    assert source.ready_trials == 2
