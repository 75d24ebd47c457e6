"""Trains several trials of one process in turns, so that their steps share a GPU."""

import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from raysweep.work.device import end_if_cuda_is_broken
from raysweep.work.inputs import TrialTask
from raysweep.work.trial import Interrupted

Start = Callable[[TrialTask], Iterator[int | None]]  # `run_trial` of a task


@dataclass(frozen=True)
class Event:
    """A level of a trial that is stored, or the end of a trial, whose `failure` is empty if all went well."""

    trial_id: str
    level: int | None = None
    failure: str = ""


def run_bundle(tasks: Sequence[TrialTask], start: Start, most: int) -> Iterator[Event]:
    """Train the trials, at most `most` at a time, and yield what happens.

    The trials take turns whenever they have queued steps on the device. A trial that fails leaves the others
    alone. One for which memory or storage fails is set aside and trained alone at the end. When the run is
    interrupted, those that wait are not started. Raises the `OSError` of a trial that trains alone, so that
    another process goes on.
    """
    waiting, aside = deque(tasks), deque[TrialTask]()
    running: dict[str, tuple[TrialTask, Iterator[int | None]]] = {}
    while waiting or running or aside:
        if not waiting and not running:
            waiting.append(aside.popleft())
        while waiting and len(running) < most:
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
                elif isinstance(error, OSError):
                    raise
                else:
                    yield Event(trial_id, failure=traceback.format_exc())
                del running[trial_id]
            except Interrupted:
                waiting.clear()
                aside.clear()
                del running[trial_id]
            except Exception:
                end_if_cuda_is_broken()
                del running[trial_id]
                yield Event(trial_id, failure=traceback.format_exc())
            else:
                if level is not None:
                    yield Event(trial_id, level)
