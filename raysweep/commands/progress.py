"""The live progress of a run: finished and total jobs, rates, time left, use of the cluster and failures."""

import time
from collections import deque

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from raysweep.commands.news import News
from raysweep.commands.run_log import RunLog
from raysweep.tables.failures import Failure

WINDOW = 60.0  # seconds over which the rate of training steps is a mean
EVERY = 30.0  # seconds between two lines in the log, and on an output that is no terminal


class LiveProgress:
    """Shows one bar per stage on a terminal, and elsewhere a line for each new stage and at intervals.

    The log always has these lines, and the whole traceback of every failure.
    """

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self.failures: list[Failure] = []
        self._curves: dict[str, str] = {}  # of the trials in training
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[more]}"),
            console=log.console,
            disable=not log.console.is_terminal,
        )
        self._stages: dict[str, TaskID] = {}
        self._last_line = time.monotonic()
        self._steps = deque([(time.monotonic(), 0)])  # when how many were told of
        self._use = ""

    def __enter__(self) -> "LiveProgress":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stage(self, name: str, total: int) -> None:
        self._stages[name] = self._progress.add_task(name, total=total, rate="", more="")
        self._line(f"{name}: {total} to do")

    def waits(self, reason: str) -> None:
        self._log.print(reason)

    def advance(self, stage: str, jobs: int) -> None:
        task = self._stages[stage]
        self._progress.advance(task, jobs)
        speed = self._progress.tasks[task].speed
        self._progress.update(task, rate=f"{speed:.1f}/s" if speed else "")
        self._show()

    def stepped(self, steps: int) -> None:
        now = time.monotonic()
        self._steps.append((now, steps))
        while now - self._steps[0][0] > WINDOW and len(self._steps) > 2:
            self._steps.popleft()
        self._show()

    def evaluated(self, trial_id: str, curve: str) -> None:
        self._curves[trial_id] = curve
        if not curve:
            del self._curves[trial_id]

    def news(self) -> News:
        """Return what the publication of the run has to know; called by a thread beside the run."""
        return News(list(self.failures), list(self._curves.values()))

    def uses(self, resources: dict[str, tuple[float, float]]) -> None:
        self._use = ", ".join(f"{used:g} of {all_of:g} {kind}s" for kind, (used, all_of) in resources.items())
        self._show()

    def _show(self) -> None:
        """Show what belongs to no stage beside the last one, and print a line when it is time."""
        for stage, task in self._stages.items():
            more = [self._rate()] if stage == "training" else []
            more += [self._use, *self._failed()] if stage == list(self._stages)[-1] else []
            self._progress.update(task, more=" ".join(filter(None, more)))
        if time.monotonic() - self._last_line > EVERY:
            self._last_line = time.monotonic()
            done = [
                f"{task.description} {task.completed:.0f}/{task.total:.0f}" for task in self._progress.tasks
            ]
            self._line(", ".join(filter(None, [*done, self._rate(), self._use, *self._failed()])))

    def _rate(self) -> str:
        """Return the training steps a second, of all trials together; the first entry has only a time."""
        steps = sum(count for _, count in list(self._steps)[1:])
        return f"{steps / (self._steps[-1][0] - self._steps[0][0]):,.0f} steps/s" if steps else ""

    def failed(self, failure: Failure) -> None:
        self.failures.append(failure)
        self._show()
        last = failure.error.strip().splitlines()[-1]
        self._log.print(f"failed: {failure.what} {failure.id}: {last}")
        self._log.record(failure.error)

    def _line(self, text: str) -> None:
        if self._log.console.is_terminal:
            self._log.record(text)
        else:
            self._log.print(text)

    def _failed(self) -> list[str]:
        return [f"{len(self.failures)} failed"] if self.failures else []
