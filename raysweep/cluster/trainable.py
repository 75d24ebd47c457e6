"""What trains trials in the processes of Ray Tune, which are reused, and how often they may die."""

import contextlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import ray
from ray import tune

from raysweep.cluster.capacity import living_ids
from raysweep.cluster.stopping import asked_to_stop
from raysweep.errors import UserError
from raysweep.plan.identity import data_config
from raysweep.store.files import Files
from raysweep.store.records import LevelRecord, Starts
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.tables.rows import metric_rows
from raysweep.version import check_code
from raysweep.work.bundle import Event, run_bundle
from raysweep.work.curves import Curves
from raysweep.work.data import trained_on
from raysweep.work.device import free_memory
from raysweep.work.inputs import TrialTask
from raysweep.work.origin import check_origin
from raysweep.work.step_count import StepCount
from raysweep.work.system_use import SystemUse
from raysweep.work.trial import run_trial

DEATHS = 3  # failures of a trial's process or storage without progress; other exceptions would recur


@dataclass(frozen=True)
class Tried:
    """How often a run has started a trial, and the id of the node where it was last tried."""

    attempts: int
    node: str


class Trainable(tune.Trainable):
    """Trains a bundle of trials; each result is an `Event`, and that of a failure says how it was tried.

    An exception of a trial becomes a result, so that the actor survives. An error of the storage is raised,
    and Tune starts the bundle again, as it does when the process dies. If the storage does not even accept
    the record of a start, the starts could not be counted, so this is a failure at once.
    """

    def setup(self, config: dict[str, Any]) -> None:
        self._config = config
        self._events: Iterator[Event] | None = None
        self._tried: dict[str, Tried] = {}
        self._steps = getattr(self, "_steps", None) or StepCount()  # of the process, which is reused

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        self._events = self._events or self._begin()
        event = next(self._events, None)
        if event is None:
            return {"done": True}
        here = Tried(1, ray.get_runtime_context().get_node_id())
        tried = self._tried.get(event.trial_id, here)
        return {"done": False, "event": asdict(event), "tried": asdict(tried)}

    def _begin(self) -> Iterator[Event]:
        self._sections, tasks = ray.get(self._config["sections"][0]), ray.get(self._config["tasks"][0])
        tracked = self._sections.tracking.enabled
        self._curves = Curves(self._sections.resources.publish_seconds if tracked else math.inf)
        most = len(tasks)
        with contextlib.suppress(OSError, UserError):  # of which each trial will tell
            if most > 1 and _died_before(TrialStore(self._files()), tasks, self._config["run"]):
                most = 1  # whichever trial has ended the process must not end the others again
        free = partial(_free, tasks[0].trial.training.device)
        return run_bundle(tasks, self._start, most, free, self._news)

    def _news(self, trial_id: str) -> Event | None:
        steps, due = self._steps.taken(), self._curves.due(trial_id)
        curve = json.dumps(metric_rows(trial_id, *due)) if due else ""
        return Event(trial_id, steps=steps, curve=curve) if steps or curve else None

    def _files(self) -> Files:
        return Files(self._config["root"])

    def _start(self, task: TrialTask) -> Iterator[int | None]:
        files = self._files()
        store = TrialStore(files)
        check_code(self._config["code"])
        try:
            starts = note_start(store, task, self._config["run"])
        except OSError as error:
            raise RuntimeError("the storage does not accept the record of a trial's start") from error
        self._tried[task.trial.trial_id] = Tried(starts.attempts, starts.nodes[-1])
        if deaths(starts) >= DEATHS:
            self._tried[task.trial.trial_id] = Tried(starts.attempts - 1, starts.nodes[-2])
            raise RuntimeError(
                f"the training process died, or its storage failed, {DEATHS} times at the same step"
            )
        training, rest = task.trial.training, self._sections.train
        check_origin(task.trial, rest)
        config = data_config(training, task.trial.replicate)
        data = trained_on(training, config, rest.data_root, rest.download, training.device)
        seconds = self._sections.resources.resume_seconds
        stops = asked_to_stop(self._config["run"])
        trial_id = task.trial.trial_id
        use = SystemUse(training.device) if self._sections.tracking.system_metrics else None

        def told(level: int, record: LevelRecord) -> None:
            self._steps.report(trial_id, level, record.metrics[-1].step)
            self._curves.note(trial_id, level, record)
            if use:
                use.look(level)

        for level in run_trial(task, data, store, ResultStore(files), seconds, told, stops):
            if level is not None:
                self._curves.drop(trial_id)
            if use and level is not None and (samples := use.taken(level)):
                store.write_system_use(trial_id, level, samples)
            yield level

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing, because checkpoints are kept in the trial store."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Do nothing, because checkpoints are kept in the trial store."""


def _free(device: str) -> int:
    """As `free_memory`, or 0 where CUDA fails, of which the trial will tell."""
    try:
        return free_memory(device)
    except (AssertionError, RuntimeError):
        return 0


def _died_before(store: TrialStore, tasks: list[TrialTask], run: str) -> bool:
    """Whether a process of this run has died, on a node that is alive, while it trained these trials."""
    alive = living_ids()
    found = (store.starts(task.trial.trial_id, run) for task in tasks)
    return any(not alive.isdisjoint(starts.nodes) for starts in found if starts)


def note_start(store: TrialStore, task: TrialTask, run: str) -> Starts:
    """Record that this process starts the trial; return the starts at the same step, this one included."""
    trial_id = task.trial.trial_id
    level = sum(store.record(trial_id, level) is not None for level in task.extent.levels)
    point = store.read_resume(trial_id)
    here = [run, level, point.level if point else -1, point.step if point else -1]
    return store.note_start(trial_id, here, ray.get_runtime_context().get_node_id())


def deaths(starts: Starts) -> int:
    """Return how many earlier processes failed at the same step.

    Processes on nodes that were lost are not counted, because the trial did not cause their failure.
    """
    alive = living_ids()
    return sum(node in alive for node in starts.nodes[:-1])
