"""One driver at a time works on a sweep under a local root."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from raysweep.errors import UserError
from raysweep.store.files import Files


@contextlib.contextmanager
def sweep_lock(files: Files, sweep: str) -> Iterator[None]:
    """Hold the sweep's lock, which the system gives back even when the process is killed.

    Raises `UserError` when another driver holds it. Object storage has no locks: there two drivers may work,
    and because every result has one name and one content, the tables are right all the same.
    """
    if files.directory is None:
        yield
        return
    path = files.directory / "locks" / sweep
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if not _taken(file):
            file.seek(0)
            raise UserError(
                f"another raysweep run works on the sweep {sweep} under {files.root} ({file.read().strip()})"
            )
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}")
        file.flush()
        _clear(files.directory, path)
        yield


@contextlib.contextmanager
def no_run(files: Files) -> Iterator[None]:
    """Keep all runs from a local root. Raises `UserError` when one is at work."""
    with contextlib.ExitStack() as stack:
        if files.directory:
            for path in sorted((files.directory / "locks").glob("*")):
                if not _taken(stack.enter_context(path.open("a+"))):
                    raise UserError(f"a run of the sweep {path.name} is at work under {files.root}")
        yield


def _clear(root: Path, own: Path) -> None:
    """Remove what killed processes left in `tmp/`, when no other driver is at work under this root."""
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(path.open("a+")) for path in own.parent.iterdir() if path != own]
        if all(_taken(file) for file in others):
            for leftover in (root / "tmp").glob("*"):
                leftover.unlink(missing_ok=True)


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
