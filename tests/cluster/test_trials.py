"""Trials on a real Ray with fake GPUs: resources are what the sweep file says."""

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


@pytest.fixture
def two_gpus():
    ray.init(num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False)
    with ray_session(None):
        yield
    ray.shutdown()


def test_half_a_gpu_each_runs_four_trials_at_once(two_gpus, tmp_path):
    """Two (fake) GPUs at half a GPU per trial: four run at the same time, never five."""
    train = {"dataset": "digits", "width": 64, "epochs": 40, "replicates": 6}
    resources = {"trial": {"cpu": 0.5, "gpu": 0.5}}
    wanted = desired(check("test", {"name": "s", "train": train, "resources": resources}))
    files = Files(str(tmp_path))
    tasks = {key: TrialTask(trial, wanted.cursors[key], {}) for key, trial in wanted.trials.items()}
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
        assert train_trials(str(tmp_path), wanted.sweep.sections, tasks, Hooks()) == []
    finally:
        over.set()
        watcher.join()
    assert max(running) == 4
    present = done(wanted, files)
    assert all(finished(wanted, present, key) for key in wanted.trials)
