"""Trains several trials of one process in turns, so that their steps share a GPU."""

import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from raysweep.training.loop import Diverged
from raysweep.work.device import end_if_cuda_is_broken
from raysweep.work.environment_faults import due_to_node
from raysweep.work.inputs import TrialTask
from raysweep.work.trial import Interrupted

Start = Callable[[TrialTask], Iterator[int | None]]  # `run_trial` of a task
Free = Callable[[], int]  # bytes of memory


@dataclass(frozen=True)
class Event:
    """A level of a trial that is stored, or the end of a trial, whose `failure` is empty if all went well.

    A training that has `diverged` would diverge again; what failed because of its `node` may go on elsewhere.
    Or, in between, a number of `steps` that the trials have taken, or the `curve` of a level that is not
    finished: its rows of the table `metrics` so far, as JSON.
    """

    trial_id: str
    level: int | None = None
    failure: str = ""
    diverged: bool = False
    node: bool = False
    steps: int = 0
    curve: str = ""

    @property
    def in_between(self) -> bool:
        return bool(self.steps or self.curve)


class _Room:
    """Whether there is memory for another trial: at least what one has taken in its first turn so far.

    A turn ends when a trial's steps are captured and queued, so that it has what it will need.
    """

    def __init__(self, free: Free) -> None:
        self._free, self._needs = free, 0
        self._before: int | None = None  # the free memory before the newest trial
        self._full_with = 0  # how many trials left no room for another

    def fits(self, running: int) -> bool:
        """Whether a trial may be started beside those that run."""
        if running and running == self._full_with:
            return False
        free = self._free()
        if self._before is not None:
            self._needs = max(self._needs, self._before - free)
        fits = not running or free >= self._needs
        self._before = free if fits else None
        self._full_with = 0 if fits else running
        return fits


def run_bundle(
    tasks: Sequence[TrialTask],
    start: Start,
    most: int,
    free: Free = lambda: 0,
    news: Callable[[str], Event | None] = lambda trial_id: None,
) -> Iterator[Event]:
    """Train the trials, at most `most` at a time and no more than fit into memory; yield what happens.

    The trials take turns whenever they have queued steps on the device, whose `free` memory is in bytes. A
    trial that fails leaves the others alone. One for which memory or storage fails nevertheless is set aside
    and trained alone at the end. `news` returns what there is to tell after a turn of a trial, whose id it
    gets. When the run is interrupted, those that wait are not started. Raises the `OSError` of a trial that
    trains alone, so that another process goes on, unless it is due to the node.
    """
    waiting, aside, room = deque(tasks), deque[TrialTask](), _Room(free)
    running: dict[str, tuple[TrialTask, Iterator[int | None]]] = {}
    while waiting or running or aside:
        if not waiting and not running:
            waiting.append(aside.popleft())
        if waiting and len(running) < most and room.fits(len(running)):
            task = waiting.popleft()
            running[task.trial.trial_id] = task, start(task)
        for trial_id, (task, levels) in list(running.items()):
            try:
                level = next(levels)
            except StopIteration:
                del running[trial_id]
                yield Event(trial_id)
            except (OSError, torch.OutOfMemoryError) as error:
                if len(running) > 1:
                    aside.append(task)
                elif isinstance(error, OSError) and not due_to_node(error):
                    raise
                else:
                    yield Event(trial_id, failure=traceback.format_exc(), node=due_to_node(error))
                del running[trial_id]
            except Interrupted:
                waiting.clear()
                aside.clear()
                del running[trial_id]
            except Exception as error:
                end_if_cuda_is_broken()
                del running[trial_id]
                diverged, node = isinstance(error, Diverged), due_to_node(error)
                yield Event(trial_id, failure=traceback.format_exc(), diverged=diverged, node=node)
            else:
                if level is not None:
                    yield Event(trial_id, level)
                elif event := news(trial_id):
                    yield event
