"""Locks of a local root, which the system gives back even when their process is killed.

Object storage has no locks: there two drivers may work, and because every result has one name and one
content, the tables are right all the same.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from raysweep.errors import UserError
from raysweep.store.files import Files

ROOT = ".root"  # no sweep has this name


@contextlib.contextmanager
def at_work(files: Files) -> Iterator[None]:
    """Share a root with other runs and imports, and keep `alone` from it.

    Where nobody else is at work, what killed processes left in `tmp/` is removed.
    """
    if files.directory is None:
        yield
        return
    with _opened(files, ROOT) as file:
        if _taken(file):
            for leftover in (files.directory / "tmp").glob("*"):
                leftover.unlink(missing_ok=True)
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def alone(files: Files) -> Iterator[None]:
    """Keep all runs and imports from a local root. Raises `UserError` when one is at work."""
    if files.directory is None:
        yield
        return
    with _opened(files, ROOT) as file:
        if not _taken(file):
            raise UserError(f"a run or an import is at work under {files.root}")
        yield


@contextlib.contextmanager
def sweep_lock(files: Files, sweep: str) -> Iterator[None]:
    """Hold a sweep's lock. Raises `UserError` when another driver holds it."""
    if files.directory is None:
        yield
        return
    with _opened(files, sweep) as file:
        if not _taken(file):
            file.seek(0)
            raise UserError(
                f"another raysweep run works on the sweep {sweep} under {files.root} ({file.read().strip()})"
            )
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}")
        file.flush()
        yield


def _opened(files: Files, name: str) -> IO[str]:
    """Open a lock. Raises `UserError` for a root that cannot be written."""
    assert files.directory is not None
    path: Path = files.directory / "locks" / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+")
    except OSError as error:
        raise UserError(f"root {files.root} cannot be written: {error.strerror}") from error


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
