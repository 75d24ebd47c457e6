"""Trials on a real Ray with fake GPUs: resources are what the sweep file says."""

import os
import signal
import subprocess
import threading
import time

import pytest
import ray

from raysweep.cluster.session import ray_session
from raysweep.cluster.trials import train_trials
from raysweep.store.files import Files
from raysweep.sweep.load import check
from raysweep.sweep.plan import desired, done, finished
from raysweep.work.inputs import TrialTask
from tests.cluster.test_pool import Hooks
from tests.work.plans import carry_out, contents, metrics


class Waiting:
    """A source of trials that all have their inputs."""

    def __init__(self, wanted):
        self.wanted, self.left = wanted, list(wanted.trials.values())

    @property
    def has_trial(self):
        return bool(self.left)

    def task(self):
        trial = self.left.pop()
        return TrialTask(trial, self.wanted.cursors[trial.trial_id], {})

    def level_done(self, trial_id, level):
        pass

    def turn(self, waiting):
        pass


def train(root, wanted):
    """Train all trials; returns the failures."""
    return train_trials(str(root), wanted.sweep.sections, len(wanted.trials), Waiting(wanted), Hooks())


@pytest.fixture
def two_gpus():
    ray.init("local", num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False)
    with ray_session(None):
        yield
    ray.shutdown()


def test_half_a_gpu_each_runs_four_trials_at_once(two_gpus, tmp_path):
    """Two (fake) GPUs at half a GPU per trial: four run at the same time, never five."""
    digits = {"dataset": "digits", "width": 64, "epochs": 200, "replicates": 5}
    resources = {"trial": {"cpu": 0.5, "gpu": 0.5}}
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
    try:
        assert train(tmp_path, wanted) == []
    finally:
        over.set()
        watcher.join()
    assert max(running) == 4
    present = done(wanted, files)
    assert all(finished(wanted, present, key) for key in wanted.trials)


def test_killed_training_process_goes_on_from_its_resume_point(two_gpus, tmp_path):
    """kill -9 of the process that trains: Tune starts it again, and it ends in the same bits."""
    digits = {"dataset": "digits", "width": 32, "epochs": 60, "replicates": 1, "norm": "batch"}
    wanted = desired(check("test", {"name": "s", "train": digits, "resources": {"resume_seconds": 0}}))
    (trial_id,) = wanted.trials
    calm, root = tmp_path / "calm", tmp_path / "killed"
    carry_out(wanted, Files(str(calm)))
    resume = root / "trials" / trial_id / "resume"
    killed = []

    def kill():
        while not resume.exists():
            time.sleep(0.02)
        (found,) = subprocess.run(
            ["pgrep", "-n", "-f", "^ray::ResourceTrainable"], capture_output=True, text=True, check=True
        ).stdout.split()
        os.kill(int(found), signal.SIGKILL)
        killed.append(int(found))

    killer = threading.Thread(target=kill)
    killer.start()
    assert train(root, wanted) == []
    killer.join()
    assert killed
    assert contents(root) == contents(calm)
    assert metrics(wanted, root) == metrics(wanted, calm)
    assert not resume.exists()
