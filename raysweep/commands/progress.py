"""The live progress of a run: finished and total jobs, rate, time left and failures."""

import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from raysweep.commands.run_log import RunLog
from raysweep.tables.failures import Failure

EVERY = 30.0  # seconds between two lines in the log, and on an output that is no terminal


class LiveProgress:
    """Shows one bar per stage on a terminal, and elsewhere a line for each new stage and at intervals.

    The log always has these lines, and the whole traceback of every failure.
    """

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self.failures: list[Failure] = []
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failures]}"),
            console=log.console,
            disable=not log.console.is_terminal,
        )
        self._stages: dict[str, TaskID] = {}
        self._last_line = time.monotonic()

    def __enter__(self) -> "LiveProgress":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stage(self, name: str, total: int) -> None:
        self._stages[name] = self._progress.add_task(name, total=total, rate="", failures="")
        self._line(f"{name}: {total} to do")

    def waits(self, reason: str) -> None:
        self._log.print(reason)

    def advance(self, stage: str, jobs: int) -> None:
        task = self._stages[stage]
        self._progress.advance(task, jobs)
        speed = self._progress.tasks[task].speed
        self._progress.update(task, rate=f"{speed:.1f}/s" if speed else "")
        if time.monotonic() - self._last_line > EVERY:
            self._last_line = time.monotonic()
            done = [
                f"{task.description} {task.completed:.0f}/{task.total:.0f}" for task in self._progress.tasks
            ]
            self._line(", ".join([*done, *self._failed()]))

    def failed(self, failure: Failure) -> None:
        self.failures.append(failure)
        for task in self._stages.values():
            self._progress.update(task, failures=" ".join(self._failed()))
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
