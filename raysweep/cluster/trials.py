"""Trials on Ray Tune: reused actors train them level by level; results go to our own store."""

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

DEATHS = 3  # of the process, or of its storage, without progress; other exceptions would come again
MOST_DEATHS = 100  # with progress, of lost nodes, or before the process could note its start


class TrialSource(Protocol):
    """Where trials come from, and where their levels are told."""

    @property
    def has_trial(self) -> bool:
        """Whether a trial has its inputs."""
        ...

    def task(self) -> TrialTask:
        """Return such a trial."""
        ...

    def level_done(self, trial_id: str, level: int) -> None:
        """A level, with all its checkpoints, can be read."""
        ...

    def turn(self, waiting: dict[str, float] | None) -> None:
        """Do something else for a moment; `waiting` are the resources of a trial that waits for them."""
        ...


class _Trainable(tune.Trainable):
    """Trains the trial in its configuration, a level a step.

    An exception becomes a result, so the actor lives on; but for errors of the storage, after which Tune
    starts the trial again, as after a death. Where the storage does not even take the note that counts
    the starts, these would never end: that is a failure at once.
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
        """Tune's checkpoints are not used: the trial store is the truth."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to load."""


class _Ready(Searcher):
    """Gives Tune the trials that have their inputs.

    While others run, nothing may be ready that will be later. When none runs and none is ready, it ends.
    """

    def __init__(self, source: TrialSource) -> None:
        super().__init__()
        self._source, self._running = source, 0

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles it for a restore that we never do."""
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
        """Nothing to save."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class _Progress(Callback):
    """Tells what trials have done, and gives the source its turns between Tune's steps."""

    def __init__(self, source: TrialSource, needs: dict[str, float], listener: Listener) -> None:
        self.failures: list[dict[str, Any]] = []
        self._source, self._needs, self._listener = source, needs, listener

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its configuration for a restore that we never do; a terminal cannot be pickled."""
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
    """Train the trials of a source, at most `count`, several at once as resources allow.

    Returns the failures when nothing is running and nothing is ready.
    """
    resources = sections.resources
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what fails is said by us
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
    """Note that a process turns to the trial. Raises `RuntimeError` when too many died at the same step.

    Those that a lost node took with it do not count: that is not the trial's fault.
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
