"""Trials on Ray Tune: one reused actor after another trains them; results go to our own store."""

import logging
import tempfile
import traceback
import uuid
from typing import Any

import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig

from raysweep.cluster.events import Listener, failure
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.identity import data_config
from raysweep.sweep.schema import Sections
from raysweep.version import check_code, code_digest
from raysweep.work.data import resident
from raysweep.work.inputs import TrialTask
from raysweep.work.trial import run_trial

DEATHS = 3  # of the process without progress; an exception in the training itself is not tried again


class _Trainable(tune.Trainable):
    """Trains the trial in its configuration; an exception becomes a result, so the actor lives on."""

    def setup(self, config: dict[str, Any]) -> None:
        self._task = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._task = new_config
        return True

    def step(self) -> dict[str, Any]:
        sections, tasks = ray.get(self._task["shared"][0])
        task: TrialTask = tasks[self._task["trial_id"]]
        files = Files(self._task["root"])
        store = TrialStore(files)
        try:
            check_code(self._task["code"])
            _count_deaths(store, task, self._task["run"])
            training, rest = task.trial.training, sections.train
            config = data_config(training, task.trial.replicate)
            data = resident(config, rest.data_root, rest.download, training.scaling, training.device)
            seconds = sections.resources.resume_seconds
            run_trial(task, data, store, ResultStore(files), seconds)
        except Exception:
            return {"done": True, "failure": traceback.format_exc()}
        return {"done": True, "failure": ""}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Tune's checkpoints are not used: the trial store is the truth."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to load."""


class _Progress(Callback):
    def __init__(self, listener: Listener, failures: list[dict[str, Any]]) -> None:
        self._listener, self._failures = listener, failures

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its configuration for a restore that we never do; a terminal cannot be pickled."""
        return {}

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._end(trial, trial.last_result.get("failure", ""), 1)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._end(trial, "the training process could not be started", 1)

    def _end(self, trial: Any, error: str, attempts: int) -> None:
        if error:
            node = str(trial.last_result.get("hostname", ""))
            self._failures.append(failure(trial.config["trial_id"], "trial", error, attempts, node))
            self._listener.failed(self._failures[-1])
        self._listener.advance(1)


def train_trials(
    root: str, sections: Sections, tasks: dict[str, TrialTask], listener: Listener
) -> list[dict[str, Any]]:
    """Train all trials, several at once as resources allow; returns the failures."""
    resources = sections.resources
    failures: list[dict[str, Any]] = []
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    shared = ray.put((sections, tasks))
    # Largest first, so that no long trial is left for the end.
    ordered = sorted(tasks, key=lambda trial_id: _cost(tasks[trial_id]), reverse=True)
    trainable = tune.with_resources(_Trainable, {"cpu": resources.trial.cpu, "gpu": resources.trial.gpu})
    with tempfile.TemporaryDirectory(prefix="raysweep-tune-") as scratch:
        tune.Tuner(
            trainable,
            param_space={
                "trial_id": tune.grid_search(ordered),
                "root": root,
                "code": code_digest(),
                "run": uuid.uuid4().hex,
                "shared": [shared],
            },
            tune_config=tune.TuneConfig(
                reuse_actors=True, max_concurrent_trials=resources.workers, metric=None, mode=None
            ),
            run_config=RunConfig(
                storage_path=scratch,
                verbose=0,
                callbacks=[_Progress(listener, failures)],
                checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
                failure_config=FailureConfig(max_failures=-1),  # we count them ourselves, without progress
            ),
        ).fit()
    return failures


def _count_deaths(store: TrialStore, task: TrialTask, run: str) -> None:
    """Note that a process turns to the trial. Raises `RuntimeError` when too many died at the same step."""
    trial_id = task.trial.trial_id
    level = sum(store.record(trial_id, level) is not None for level in task.cursor.levels)
    point = store.read_resume(trial_id)
    here = [run, level, point.level if point else -1, point.step if point else -1]
    starts = store.note_start(trial_id, here)
    if starts > DEATHS:
        raise RuntimeError(f"the training process died {DEATHS} times at the same step")


def _cost(task: TrialTask) -> int:
    cursor = task.cursor
    return task.trial.training.width * len(cursor.levels) * (cursor.total - cursor.start)
