"""Trials on Ray Tune: reused actors train them level by level, and write results to the trial store."""

import logging
import tempfile
import traceback
import uuid
from collections.abc import Iterator
from typing import Any, Protocol

import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig
from ray.tune.search import Searcher

from raysweep.cluster.capacity import living_nodes
from raysweep.cluster.events import Listener
from raysweep.plan.identity import data_config
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.schema import Sections
from raysweep.tables.failures import failure
from raysweep.version import check_code, code_digest
from raysweep.work.data import resident
from raysweep.work.device import end_if_cuda_is_broken
from raysweep.work.inputs import TrialTask
from raysweep.work.trial import run_trial

DEATHS = 3  # failures of a trial's process or storage without progress; other exceptions would recur
MOST_DEATHS = 100  # failures with progress, by lost nodes, or before the process could record its start


class TrialSource(Protocol):
    """Provides trials, and is notified when their levels are finished."""

    @property
    def has_trial(self) -> bool:
        """Whether there is a trial that has its inputs."""
        ...

    def task(self) -> TrialTask:
        """Return a trial that has its inputs, which is then no longer offered."""
        ...

    def level_done(self, trial_id: str, level: int) -> None:
        """Receive the notice that a level with all its checkpoints can be read."""
        ...

    def turn(self, waiting: dict[str, float] | None) -> None:
        """Do other work for a moment; `waiting` are the resources that a trial waits for, if any."""
        ...


class _Trainable(tune.Trainable):
    """Trains the trial in its configuration, one level per step.

    An exception becomes a result, so that the actor survives. An error of the storage is raised, and Tune
    starts the trial again, as it does when the process dies. If the storage does not even accept the record
    of the start, the starts could not be counted, so this is a failure at once.
    """

    def setup(self, config: dict[str, Any]) -> None:
        self._task = config
        self._levels: Iterator[int] | None = None
        self._counted = False

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        try:
            self._levels = self._levels or self._begin()
            level = next(self._levels, None)
        except OSError:
            if self._counted:
                raise
            return {"done": True, "failure": traceback.format_exc()}
        except Exception:
            end_if_cuda_is_broken()
            return {"done": True, "failure": traceback.format_exc()}
        return {"done": True, "failure": ""} if level is None else {"done": False, "level": level}

    def _begin(self) -> Iterator[int]:
        sections, task = ray.get(self._task["sections"][0]), ray.get(self._task["task"][0])
        files = Files(self._task["root"])
        store = TrialStore(files)
        check_code(self._task["code"])
        _count_deaths(store, task, self._task["run"])
        self._counted = True
        training, rest = task.trial.training, sections.train
        config = data_config(training, task.trial.replicate)
        data = resident(config, rest.data_root, rest.download, training.scaling, training.device)
        return run_trial(task, data, store, ResultStore(files), sections.resources.resume_seconds)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing, because checkpoints are kept in the trial store."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Do nothing, because checkpoints are kept in the trial store."""


class _Ready(Searcher):
    """Gives Tune the trials that have their inputs.

    While trials run, others may become ready. The search ends when no trial runs and none is ready.
    """

    def __init__(self, source: TrialSource) -> None:
        super().__init__()
        self._source, self._running = source, 0

    def __getstate__(self) -> dict[str, Any]:
        """Return no state: Tune pickles searchers for a restore, which raysweep never does."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        if self._source.has_trial:
            task = self._source.task()
            self._running += 1
            return {"trial_id": task.trial.trial_id, "task": [ray.put(task)]}
        return None if self._running else Searcher.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._running -= 1

    def save(self, checkpoint_path: str) -> None:
        """Do nothing, because a run is never restored by Tune."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, because a run is never restored by Tune."""


class _Progress(Callback):
    """Notifies the source and the listener of finished levels, and gives the source its turns."""

    def __init__(self, source: TrialSource, needs: dict[str, float], listener: Listener) -> None:
        self.failures: list[dict[str, Any]] = []
        self._source, self._needs, self._listener = source, needs, listener

    def __getstate__(self) -> dict[str, Any]:
        """Return no state: Tune pickles callbacks for a restore, and a terminal cannot be pickled."""
        return {}

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        waits = any(trial.status == "PENDING" for trial in trials)
        self._source.turn(self._needs if waits else None)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "level" in result:
            self._source.level_done(trial.config["trial_id"], result["level"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._end(trial, trial.last_result.get("failure", ""), 1)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._end(trial, f"the training process could not be started, or died {MOST_DEATHS} times", 1)

    def _end(self, trial: Any, error: str, attempts: int) -> None:
        if error:
            node = str(trial.last_result.get("hostname", ""))
            self.failures.append(failure(trial.config["trial_id"], "trial", error, attempts, node))
            self._listener.failed(self.failures[-1])
        self._listener.advance("training", 1)


def train_trials(
    root: str, sections: Sections, count: int, source: TrialSource, listener: Listener
) -> list[dict[str, Any]]:
    """Train at most `count` trials of a source, as many at once as resources allow.

    Returns the rows of failures when no trial runs and none is ready.
    """
    resources = sections.resources
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are reported by the listener
    needs = {"cpu": resources.trial.cpu, "gpu": resources.trial.gpu}
    progress = _Progress(source, {kind.upper(): amount for kind, amount in needs.items()}, listener)
    with tempfile.TemporaryDirectory(prefix="raysweep-tune-") as scratch:
        tune.Tuner(
            tune.with_resources(_Trainable, needs),
            param_space={
                "root": root,
                "code": code_digest(),
                "run": uuid.uuid4().hex,
                "sections": [ray.put(sections)],
            },
            tune_config=tune.TuneConfig(
                search_alg=_Ready(source),
                num_samples=count,
                reuse_actors=True,
                max_concurrent_trials=resources.workers,
                metric=None,
                mode=None,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=RunConfig(
                storage_path=scratch,
                verbose=0,
                callbacks=[progress],
                checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
                failure_config=FailureConfig(max_failures=MOST_DEATHS),
            ),
        ).fit()
    return progress.failures


def _count_deaths(store: TrialStore, task: TrialTask, run: str) -> None:
    """Record that a process starts the trial. Raises `RuntimeError` when too many failed at the same step.

    Processes on nodes that were lost are not counted, because the trial did not cause their failure.
    """
    trial_id = task.trial.trial_id
    level = sum(store.record(trial_id, level) is not None for level in task.extent.levels)
    point = store.read_resume(trial_id)
    here = [run, level, point.level if point else -1, point.step if point else -1]
    nodes = store.note_start(trial_id, here, ray.get_runtime_context().get_node_id())
    alive = {node["NodeID"] for node in living_nodes()}
    if sum(node in alive for node in nodes) >= DEATHS:
        raise RuntimeError(
            f"the training process died, or its storage failed, {DEATHS} times at the same step"
        )
