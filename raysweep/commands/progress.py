"""Live progress of a run: done / total, rate, time left, failures."""

import time
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from raysweep.commands.run_log import RunLog

EVERY = 30.0  # seconds between two lines in the log, and where there is no terminal


class LiveProgress:
    """Shows one bar per stage on a terminal; elsewhere a line when a stage is known, and now and then.

    The log has these lines in any case, and the whole traceback of what failed.
    """

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._failures = 0
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
        self._said = time.monotonic()

    def __enter__(self) -> "LiveProgress":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stage(self, name: str, total: int) -> None:
        self._stages[name] = self._progress.add_task(name, total=total, rate="", failures="")
        self._line(f"{name}: {total} to do")

    def waits(self, reason: str) -> None:
        self._log.say(reason)

    def advance(self, stage: str, jobs: int) -> None:
        task = self._stages[stage]
        self._progress.advance(task, jobs)
        speed = self._progress.tasks[task].speed
        self._progress.update(task, rate=f"{speed:.1f}/s" if speed else "")
        if time.monotonic() - self._said > EVERY:
            self._said = time.monotonic()
            done = [
                f"{task.description} {task.completed:.0f}/{task.total:.0f}" for task in self._progress.tasks
            ]
            self._line(", ".join([*done, *self._failed()]))

    def failed(self, failure: dict[str, Any]) -> None:
        self._failures += 1
        for task in self._stages.values():
            self._progress.update(task, failures=" ".join(self._failed()))
        last = failure["error"].strip().splitlines()[-1]
        self._log.say(f"failed: {failure['what']} {failure['id']}: {last}")
        self._log.note(failure["error"])

    def _line(self, text: str) -> None:
        if self._log.console.is_terminal:
            self._log.note(text)
        else:
            self._log.say(text)

    def _failed(self) -> list[str]:
        return [f"{self._failures} failed"] if self._failures else []
