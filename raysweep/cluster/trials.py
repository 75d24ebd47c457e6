"""Trials on Ray Tune: which it is given, and what becomes of them."""

import contextlib
import logging
import tempfile
import uuid
from collections import Counter, deque
from collections.abc import Collection
from typing import Any, Protocol

import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig
from ray.tune.search import Searcher

from raysweep.cluster.capacity import Needs, name_of, needs_of, slots
from raysweep.cluster.events import Listener
from raysweep.cluster.session import spare_tune_mlflow
from raysweep.cluster.stopping import ask_to_stop
from raysweep.cluster.suspects import ATTEMPTS, Suspects, labels
from raysweep.cluster.trainable import Trainable, Tried
from raysweep.interruption import hold, interrupted
from raysweep.store.divergence import Divergence, note_divergence
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.resources import TrialWorker
from raysweep.sweep.schema import Sections
from raysweep.tables.failures import Failure
from raysweep.version import code_digest
from raysweep.work.bundle import Event
from raysweep.work.inputs import TrialTask

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
        avoided = self._suspects.avoided_by(needs_of(self._worker))
        return {"trial_ids": ids, "tasks": [ray.put(tasks)], "avoided": sorted(avoided)}

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
        failures: list[Failure],
    ) -> None:
        self._failures = failures
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
        if event.in_between:
            self._tell(event)
        elif event.level is None and self._goes_elsewhere(event, result["tried"]["node"]):
            self._ready.again(event.trial_id)
        elif event.level is None:
            self._end(event.trial_id, event.failure, Tried(**result["tried"]), event.diverged)
        else:
            self._source.level_done(event.trial_id, event.level)

    def _tell(self, event: Event) -> None:
        if event.steps:
            self._listener.stepped(event.steps)
        if event.curve and event.trial_id not in self._ended:
            self._listener.evaluated(event.trial_id, event.curve)

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
                Tried(starts.attempts, starts.nodes[-1])
                if starts and starts.nodes
                else Tried(trial.num_failures, "")
            )
            text = f"the training process could not be started, or died {MOST_DEATHS} times"
            self._end(trial_id, text, tried)

    def _end(self, trial_id: str, error: str, tried: Tried, diverged: bool = False) -> None:
        if trial_id in self._ended:  # a bundle that is started again tells everything again
            return
        self._ended.add(trial_id)
        self._ready.over(trial_id)
        if error:
            failure = Failure(trial_id, "trial", error, tried.attempts, name_of(tried.node))
            self._failures.append(failure)
            self._listener.failed(failure)
            if diverged:
                how = Divergence(error, failure.attempts, failure.node, failure.time)
                with contextlib.suppress(OSError):  # without the note the next run trains once more
                    note_divergence(self._files, trial_id, how)
        self._listener.evaluated(trial_id, "")
        self._listener.advance("training", 1)


def train_trials(
    root: str,
    sections: Sections,
    count: int,
    source: TrialSource,
    listener: Listener,
    suspects: Suspects,
    failures: list[Failure],
) -> None:
    """Train at most `count` trials of a source, as many at once as resources allow.

    This ends when no trial runs and none is ready, or when `WINDOW` bundles of trials have ended. Failures
    are added to `failures` as they occur, because an interruption may end this at any time.
    """
    resources = sections.resources
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are reported by the listener
    spare_tune_mlflow()
    needs, run = needs_of(resources.trial), uuid.uuid4().hex
    ready = _Ready(source, resources.trial, suspects)
    progress = _Progress(source, run, needs, listener, Files(root), ready, suspects, failures)
    with tempfile.TemporaryDirectory(prefix="raysweep-tune-") as scratch:
        tune.Tuner(
            tune.with_resources(Trainable, lambda config: _placement(needs, config["avoided"])),
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


def _placement(needs: Needs, avoided: Collection[str]) -> tune.PlacementGroupFactory:
    """Return the resources of a trial on any but some nodes."""
    rest: dict[str, Any] = {"bundle_label_selector": [labels(avoided)]} if avoided else {}
    return tune.PlacementGroupFactory([needs], **rest)
