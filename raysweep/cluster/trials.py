"""Trials on Ray Tune: one reused actor after another trains them; results go to our own store."""

import logging
import tempfile
import traceback
from typing import Any

import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig

from raysweep.cluster.events import Listener, failure
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.identity import Trial
from raysweep.sweep.plan import Desired
from raysweep.work.data import resident
from raysweep.work.trial import run_trial

MAX_FAILURES = 3  # of the process: an exception in the training itself is not tried again


class _Trainable(tune.Trainable):
    """Trains the trial in its configuration; an exception becomes a result, so the actor lives on."""

    def setup(self, config: dict[str, Any]) -> None:
        self._task = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._task = new_config
        return True

    def step(self) -> dict[str, Any]:
        wanted: Desired = ray.get(self._task["wanted"][0])
        trial = wanted.trials[self._task["trial_id"]]
        rest = wanted.sweep.sections.train
        training = trial.training
        try:
            data = resident(
                training.dataset, rest.data_root, rest.download, training.split_seed, training.device
            )
            store = TrialStore(Files(self._task["root"]))
            run_trial(trial, wanted.cursors[trial.trial_id], data, store)
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
        self._end(trial, "the training process died", MAX_FAILURES + 1)

    def _end(self, trial: Any, error: str, attempts: int) -> None:
        if error:
            node = str(trial.last_result.get("hostname", ""))
            self._failures.append(failure(trial.config["trial_id"], "trial", error, attempts, node))
            self._listener.failed(self._failures[-1])
        self._listener.advance(1)


def train_trials(root: str, wanted: Desired, trials: list[Trial], listener: Listener) -> list[dict[str, Any]]:
    """Train all trials, several at once as resources allow; returns the failures."""
    resources = wanted.sweep.sections.resources
    failures: list[dict[str, Any]] = []
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    shared = ray.put(wanted)
    # Largest first, so that no long trial is left for the end.
    ordered = sorted(trials, key=lambda t: (t.training.width, t.training.epochs), reverse=True)
    trainable = tune.with_resources(_Trainable, {"cpu": resources.trial.cpu, "gpu": resources.trial.gpu})
    with tempfile.TemporaryDirectory(prefix="raysweep-tune-") as scratch:
        tune.Tuner(
            trainable,
            param_space={
                "trial_id": tune.grid_search([trial.trial_id for trial in ordered]),
                "root": root,
                "wanted": [shared],
            },
            tune_config=tune.TuneConfig(
                reuse_actors=True, max_concurrent_trials=resources.workers, metric=None, mode=None
            ),
            run_config=RunConfig(
                storage_path=scratch,
                verbose=0,
                callbacks=[_Progress(listener, failures)],
                checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
                failure_config=FailureConfig(max_failures=MAX_FAILURES),
            ),
        ).fit()
    return failures
