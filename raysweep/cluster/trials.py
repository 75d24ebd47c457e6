"""Trials on Ray Tune: reused actors train them level by level, and write results to the trial store."""

import contextlib
import logging
import tempfile
import uuid
from collections import Counter, deque
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Protocol

import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig
from ray.tune.search import Searcher

from raysweep.cluster.capacity import Needs, living_ids, name_of, needs_of, slots
from raysweep.cluster.events import Listener
from raysweep.cluster.session import spare_tune_mlflow
from raysweep.cluster.stopping import ask_to_stop, asked_to_stop
from raysweep.cluster.suspects import ATTEMPTS, Suspects, labels
from raysweep.interruption import hold, interrupted
from raysweep.plan.identity import data_config
from raysweep.store.divergence import Divergence, note_divergence
from raysweep.store.files import Files
from raysweep.store.records import Starts
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.resources import TrialWorker
from raysweep.sweep.schema import Sections
from raysweep.tables.failures import Failure
from raysweep.version import check_code, code_digest
from raysweep.work.bundle import Event, run_bundle
from raysweep.work.data import trained_on
from raysweep.work.device import free_memory
from raysweep.work.inputs import TrialTask
from raysweep.work.origin import check_origin
from raysweep.work.step_count import StepCount
from raysweep.work.system_use import SystemUse
from raysweep.work.trial import run_trial

DEATHS = 3  # failures of a trial's process or storage without progress; other exceptions would recur
WINDOW = 10_000  # bundles of trials that one run of Tune is given: it keeps 50 kB of each until it ends
EARLY = 5  # times that a trial is given to Tune again which it has given up too early
MOST_DEATHS = 100  # failures with progress, by lost nodes, or before the process could record its start


class TrialSource(Protocol):
    """Provides trials, and is notified when their levels are finished."""

    @property
    def ready_trials(self) -> int:
        """The number of trials that have their inputs."""
        ...

    def tasks(self, most: int) -> list[TrialTask]:
        """Return at most `most` trials that can be trained together; they are then no longer offered."""
        ...

    def level_done(self, trial_id: str, level: int) -> None:
        """Receive the notice that a level with all its checkpoints can be read."""
        ...

    def turn(self, waiting: dict[str, float] | None) -> None:
        """Do other work for a moment; `waiting` are the resources that a trial waits for, if any."""
        ...


@dataclass(frozen=True)
class _Tried:
    """How often a run has started a trial, and the id of the node where it was last tried."""

    attempts: int
    node: str


class _Trainable(tune.Trainable):
    """Trains a bundle of trials; each result is an `Event`, and that of a failure says how it was tried.

    An exception of a trial becomes a result, so that the actor survives. An error of the storage is raised,
    and Tune starts the bundle again, as it does when the process dies. If the storage does not even accept
    the record of a start, the starts could not be counted, so this is a failure at once.
    """

    def setup(self, config: dict[str, Any]) -> None:
        self._config = config
        self._events: Iterator[Event] | None = None
        self._tried: dict[str, _Tried] = {}
        self._steps = getattr(self, "_steps", None) or StepCount()  # of the process, which is reused

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        self._events = self._events or self._begin()
        event = next(self._events, None)
        if event is None:
            return {"done": True}
        here = _Tried(1, ray.get_runtime_context().get_node_id())
        tried = self._tried.get(event.trial_id, here)
        return {"done": False, "event": asdict(event), "tried": asdict(tried)}

    def _begin(self) -> Iterator[Event]:
        self._sections, tasks = ray.get(self._config["sections"][0]), ray.get(self._config["tasks"][0])
        self._files = Files(self._config["root"])
        most = len(tasks)
        with contextlib.suppress(OSError):  # of which each trial will tell
            if most > 1 and _died_before(TrialStore(self._files), tasks, self._config["run"]):
                most = 1  # whichever trial has ended the process must not end the others again
        free = partial(free_memory, tasks[0].trial.training.device)
        return run_bundle(tasks, self._start, most, free, self._steps.taken)

    def _start(self, task: TrialTask) -> Iterator[int | None]:
        store = TrialStore(self._files)
        check_code(self._config["code"])
        try:
            starts = _note_start(store, task, self._config["run"])
        except OSError as error:
            raise RuntimeError("the storage does not accept the record of a trial's start") from error
        self._tried[task.trial.trial_id] = _Tried(starts.attempts, starts.nodes[-1])
        if _deaths(starts) >= DEATHS:
            self._tried[task.trial.trial_id] = _Tried(starts.attempts - 1, starts.nodes[-2])
            raise RuntimeError(
                f"the training process died, or its storage failed, {DEATHS} times at the same step"
            )
        training, rest = task.trial.training, self._sections.train
        check_origin(task.trial, rest)
        config = data_config(training, task.trial.replicate)
        data = trained_on(training, config, rest.data_root, rest.download, training.device)
        seconds = self._sections.resources.resume_seconds
        stops = asked_to_stop(self._config["run"])
        trial_id, report = task.trial.trial_id, partial(self._steps.report, task.trial.trial_id)
        use = SystemUse(training.device) if self._sections.tracking.system_metrics else None

        def told(level: int, step: int) -> None:
            report(level, step)
            if use:
                use.look()

        for level in run_trial(task, data, store, ResultStore(self._files), seconds, told, stops):
            if use and level is not None:
                store.write_system_use(trial_id, level, use.taken())
            yield level

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing, because checkpoints are kept in the trial store."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Do nothing, because checkpoints are kept in the trial store."""


class _Ready(Searcher):
    """Gives Tune bundles of trials that have their inputs, and again those that go on elsewhere.

    While trials run, others may become ready. The search ends when no trial runs and none is ready, or when
    `WINDOW` bundles have been given.
    """

    def __init__(self, source: TrialSource, worker: TrialWorker, suspects: Suspects) -> None:
        super().__init__()
        self._source, self._worker, self._running = source, worker, 0
        self._suspects = suspects
        self._left = WINDOW
        self._given: dict[str, TrialTask] = {}
        self._again: deque[TrialTask] = deque()

    def __getstate__(self) -> dict[str, Any]:
        """Return no state: Tune pickles searchers for a restore, which raysweep never does."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        if interrupted():
            self._again.clear()
        if not self._again and not (self._left and self._source.ready_trials):
            return None if self._running else Searcher.FINISHED
        if self._again:
            tasks = [self._again.popleft()]
        else:
            tasks, self._left = self._source.tasks(self._most()), self._left - 1
        self._running += 1
        ids = [task.trial.trial_id for task in tasks]
        self._given |= dict(zip(ids, tasks, strict=True))
        return {"trial_ids": ids, "tasks": [ray.put(tasks)], "avoided": sorted(self._suspects.avoided)}

    def again(self, trial_id: str) -> None:
        """Give a trial that is being trained once more."""
        if trial_id in self._given:
            self._again.append(self._given.pop(trial_id))

    def over(self, trial_id: str) -> None:
        """A trial has ended, so that it will not be given again."""
        self._given.pop(trial_id, None)

    def _most(self) -> int:
        """Return how many trials a process gets: not more than its share of those that are ready."""
        pack = self._worker.packed
        share = -(-self._source.ready_trials // max(1, slots(needs_of(self._worker)))) if pack > 1 else 1
        return min(pack, share)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._running -= 1

    def save(self, checkpoint_path: str) -> None:
        """Do nothing, because a run is never restored by Tune."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, because a run is never restored by Tune."""


class _Progress(Callback):
    """Notifies the source and the listener of finished levels, and gives the source its turns.

    When the run is interrupted, it asks the processes of the trials to note resume points and to end.
    """

    def __init__(
        self,
        source: TrialSource,
        run: str,
        needs: dict[str, float],
        listener: Listener,
        files: Files,
        ready: _Ready,
        suspects: Suspects,
    ) -> None:
        self.failures: list[Failure] = []
        self._ended: set[str] = set()
        self._early: Counter[str] = Counter()  # how often Tune has given up a trial too early
        self._source, self._run, self._needs, self._listener = source, run, needs, listener
        self._files, self._ready, self._suspects = files, ready, suspects

    def setup(self, *_: Any, **info: Any) -> None:
        hold()  # Tune has just installed a handler of SIGUSR1

    def __getstate__(self) -> dict[str, Any]:
        """Return no state: Tune pickles callbacks for a restore, and a terminal cannot be pickled."""
        return {}

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if interrupted():
            ask_to_stop(self._run)
            return
        waits = any(trial.status == "PENDING" for trial in trials)
        self._source.turn(self._needs if waits else None)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "event" not in result:
            return
        event = Event(**result["event"])
        if event.steps:
            self._listener.stepped(event.steps)
        elif event.level is None and self._goes_elsewhere(event, result["tried"]["node"]):
            self._ready.again(event.trial_id)
        elif event.level is None:
            self._end(event.trial_id, event.failure, _Tried(**result["tried"]), event.diverged)
        else:
            self._source.level_done(event.trial_id, event.level)

    def _goes_elsewhere(self, event: Event, node: str) -> bool:
        """Whether a trial that failed because of its node is tried on another one."""
        if not event.node or event.trial_id in self._ended:
            return False
        return self._suspects.elsewhere(event.trial_id, node, self._needs, event.failure)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tune has given up: none of its processes told of the failures.

        Tune gives up at the first failure where a process is lost just as it is about to take a trial.
        """
        for trial_id in trial.config["trial_ids"]:
            if trial.num_failures <= MOST_DEATHS and self._early[trial_id] < EARLY:
                self._early[trial_id] += 1
                self._ready.again(trial_id)
                continue
            starts = None
            with contextlib.suppress(OSError):
                starts = TrialStore(self._files).starts(trial_id, self._run)
            tried = (
                _Tried(starts.attempts, starts.nodes[-1])
                if starts and starts.nodes
                else _Tried(trial.num_failures, "")
            )
            text = f"the training process could not be started, or died {MOST_DEATHS} times"
            self._end(trial_id, text, tried)

    def _end(self, trial_id: str, error: str, tried: _Tried, diverged: bool = False) -> None:
        if trial_id in self._ended:  # a bundle that is started again tells everything again
            return
        self._ended.add(trial_id)
        self._ready.over(trial_id)
        if error:
            failure = Failure(trial_id, "trial", error, tried.attempts, name_of(tried.node))
            self.failures.append(failure)
            self._listener.failed(failure)
            if diverged:
                how = Divergence(error, failure.attempts, failure.node, failure.time)
                note_divergence(self._files, trial_id, how)
        self._listener.advance("training", 1)


def train_trials(
    root: str, sections: Sections, count: int, source: TrialSource, listener: Listener, suspects: Suspects
) -> list[Failure]:
    """Train at most `count` trials of a source, as many at once as resources allow.

    Returns the failures when no trial runs and none is ready, or when `WINDOW` bundles of trials have ended.
    """
    resources = sections.resources
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are reported by the listener
    spare_tune_mlflow()
    needs, run = needs_of(resources.trial), uuid.uuid4().hex
    ready = _Ready(source, resources.trial, suspects)
    progress = _Progress(source, run, needs, listener, Files(root), ready, suspects)
    with tempfile.TemporaryDirectory(prefix="raysweep-tune-") as scratch:
        tune.Tuner(
            tune.with_resources(_Trainable, lambda config: _placement(needs, config["avoided"])),
            param_space={
                "root": root,
                "code": code_digest(),
                "run": run,
                "sections": [ray.put(sections)],
            },
            tune_config=tune.TuneConfig(
                search_alg=ready,
                num_samples=count * (ATTEMPTS + EARLY),
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


def _died_before(store: TrialStore, tasks: list[TrialTask], run: str) -> bool:
    """Whether a process of this run has died, on a node that is alive, while it trained these trials."""
    alive = living_ids()
    found = (store.starts(task.trial.trial_id, run) for task in tasks)
    return any(not alive.isdisjoint(starts.nodes) for starts in found if starts)


def _note_start(store: TrialStore, task: TrialTask, run: str) -> Starts:
    """Record that this process starts the trial; return the starts at the same step, this one included."""
    trial_id = task.trial.trial_id
    level = sum(store.record(trial_id, level) is not None for level in task.extent.levels)
    point = store.read_resume(trial_id)
    here = [run, level, point.level if point else -1, point.step if point else -1]
    return store.note_start(trial_id, here, ray.get_runtime_context().get_node_id())


def _deaths(starts: Starts) -> int:
    """Return how many earlier processes failed at the same step.

    Processes on nodes that were lost are not counted, because the trial did not cause their failure.
    """
    alive = living_ids()
    return sum(node in alive for node in starts.nodes[:-1])


def _placement(needs: Needs, avoided: Collection[str]) -> tune.PlacementGroupFactory:
    """Return the resources of a trial on any but some nodes."""
    rest: dict[str, Any] = {"bundle_label_selector": [labels(avoided)]} if avoided else {}
    return tune.PlacementGroupFactory([needs], **rest)
