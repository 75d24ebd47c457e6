"""Live progress of a run: done / total, rate, time left, failures."""

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class LiveProgress:
    """Shows one bar per stage on a terminal, and a line per stage elsewhere."""

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
        self._task: TaskID | None = None

    def __enter__(self) -> "LiveProgress":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stage(self, name: str, total: int) -> None:
        self._task = self._progress.add_task(name, total=total, rate="", failures="")
        if not self._console.is_terminal:
            self._console.print(f"{name}: {total} to do")

    def advance(self, units: int) -> None:
        assert self._task is not None
        self._progress.advance(self._task, units)
        speed = self._progress.tasks[-1].speed
        self._progress.update(self._task, rate=f"{speed:.1f}/s" if speed else "")

    def failed(self, failure: dict[str, Any]) -> None:
        self._failures += 1
        assert self._task is not None
        self._progress.update(self._task, failures=f"{self._failures} failed")
        last = failure["error"].strip().splitlines()[-1]
        self._console.print(f"failed: {failure['what']} {failure['id']}: {last}")
