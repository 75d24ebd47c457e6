"""Live progress of a run: done / total, rate, time left, failures."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

EVERY = 30.0  # seconds between two lines where there is no terminal, in the log of a job, say


class LiveProgress:
    """Shows one bar per stage on a terminal; elsewhere a line when a stage is known, and now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._failures = 0
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failures]}"),
            console=console,
            disable=not console.is_terminal,
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
        if not self._console.is_terminal:
            self._console.print(f"{name}: {total} to do")

    def waits(self, reason: str) -> None:
        self._console.print(reason)

    def advance(self, stage: str, units: int) -> None:
        task = self._stages[stage]
        self._progress.advance(task, units)
        speed = self._progress.tasks[task].speed
        self._progress.update(task, rate=f"{speed:.1f}/s" if speed else "")
        if not self._console.is_terminal and time.monotonic() - self._said > EVERY:
            self._said = time.monotonic()
            done = [
                f"{task.description} {task.completed:.0f}/{task.total:.0f}" for task in self._progress.tasks
            ]
            self._console.print(", ".join([*done, *self._failed()]))

    def failed(self, failure: dict[str, Any]) -> None:
        self._failures += 1
        for task in self._stages.values():
            self._progress.update(task, failures=" ".join(self._failed()))
        last = failure["error"].strip().splitlines()[-1]
        self._console.print(f"failed: {failure['what']} {failure['id']}: {last}")

    def _failed(self) -> list[str]:
        return [f"{self._failures} failed"] if self._failures else []
