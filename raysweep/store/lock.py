"""Locks of a local root, which the system releases even when their process is killed.

Object storage has no locks, but leases (`raysweep.store.lease`), which expire. Two drivers may work on one
sweep there at once: every result has one name and one content, and who publishes the tables while the other
does looks again (`raysweep.tables.publication`).
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from raysweep.errors import UserError
from raysweep.store.files import Files
from raysweep.store.lease import DELETE, WORK, lease

ROOT = ".root"  # the lock of the root; no sweep can have this name
ABANDONED = 24 * 3600.0  # seconds after which a temporary object is no longer being written


@contextlib.contextmanager
def shared_root_lock(files: Files) -> Iterator[None]:
    """Share a root with other runs and imports, and exclude `exclusive_root_lock`.

    Temporary objects that killed processes left in `tmp/` are removed. When nobody else holds the lock, all
    are removed. Otherwise, and in object storage, where this is unknown, those that are a day old are
    removed. Raises `UserError` when objects of a bucket are being deleted.
    """
    if files.directory is None:
        _clear(files, ABANDONED)
        with lease(files, WORK):
            yield
        return
    with _opened(files, ROOT) as file:
        _clear(files, 0 if _taken(files, file) else ABANDONED)
        _lock(files, file, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def exclusive_root_lock(files: Files) -> Iterator[None]:
    """Exclude all runs and imports from a root. Raises `UserError` when one is, or may be, at work."""
    if files.directory is None:
        with lease(files, DELETE):
            yield
        return
    with _opened(files, ROOT) as file:
        if not _taken(files, file):
            raise UserError(f"a run or an import is at work under {files.root}")
        yield


@contextlib.contextmanager
def sweep_lock(files: Files, sweep: str) -> Iterator[None]:
    """Hold a sweep's lock. Raises `UserError` when another driver holds it."""
    if files.directory is None:
        yield
        return
    with _opened(files, sweep) as file:
        if not _taken(files, file):
            file.seek(0)
            raise UserError(
                f"another raysweep run works on the sweep {sweep} under {files.root} ({file.read().strip()})"
            )
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}")
        file.flush()
        yield


@contextlib.contextmanager
def waiting_lock(files: Files, name: str) -> Iterator[None]:
    """Hold a lock of a local root, and wait for it while another process has it."""
    if files.directory is None:
        yield
        return
    with _opened(files, name) as file:
        _lock(files, file, fcntl.LOCK_EX)
        yield


def _clear(files: Files, age: float) -> None:
    for name in files.older("tmp", age):
        files.delete(name)


def _opened(files: Files, name: str) -> IO[str]:
    """Open the file of a lock. Raises `UserError` for a root that cannot be written."""
    assert files.directory is not None
    path: Path = files.directory / "locks" / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+")
    except OSError as error:
        raise UserError(f"root {files.root} cannot be written: {error.strerror}") from error


def _taken(files: Files, file: IO[str]) -> bool:
    """Try to take a lock exclusively, and return whether that succeeded. Raises `UserError` as `_lock`."""
    try:
        _lock(files, file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock(files: Files, file: IO[str], how: int) -> None:
    """Take a lock. Raises `UserError` on a file system without locks, as that of NFS may be."""
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        raise
    except OSError as error:
        raise UserError(
            f"root {files.root}: its file system gives no locks ({error.strerror}), by which runs stay out "
            "of each other's way; mount it with locks, or use another root"
        ) from error
