"""Leases: who is at work in a bucket, which has no locks.

leases/<purpose>-<id>    held by one process, which writes it again every minute

A process that is killed leaves a lease that expires. Everyone writes a lease first and reads those of the
others afterwards, so of two that exclude each other at least one finds the other. Times are those of the
storage alone, because the clocks of two machines may differ.
"""

import contextlib
import os
import threading
import uuid
from collections.abc import Iterator

from raysweep.errors import UserError
from raysweep.store.files import Files

FOLDER = "leases"
RENEWED = 60.0  # seconds between two writes of a lease
EXPIRES = 900.0  # seconds after its last write: so long may the storage be out of reach
WORK, DELETE = "work", "delete"
EXCLUDED = {WORK: (DELETE,), DELETE: (WORK, DELETE)}


@contextlib.contextmanager
def lease(files: Files, purpose: str) -> Iterator[None]:
    """Hold a lease to `WORK` (with others that work) or to `DELETE` (alone).

    Raises `UserError` when somebody who is excluded by it holds one, and when it cannot be written.
    """
    name = f"{FOLDER}/{purpose}-{uuid.uuid4().hex}"
    over = threading.Event()
    renewal = threading.Thread(target=_renew, args=(files, name, over), name="lease", daemon=True)
    try:
        _write(files, name)
    except OSError as error:
        raise UserError(f"root {files.root} cannot be written: {error.strerror or error}") from error
    renewal.start()
    try:
        _check_others(files, name, purpose)
        yield
    finally:
        over.set()
        renewal.join()
        with contextlib.suppress(OSError):  # then it expires
            files.delete(name)


def _check_others(files: Files, own: str, purpose: str) -> None:
    """Remove leases that have expired. Raises `UserError` for one that is held and excludes this purpose."""
    stamps = files.stamps(FOLDER)
    now = stamps[own].modified
    for name, stamp in stamps.items():
        age = (now - stamp.modified) / 1e9
        if age > EXPIRES:
            files.delete(name)
        elif name != own and name.startswith(tuple(f"{FOLDER}/{other}-" for other in EXCLUDED[purpose])):
            doing = "deletes" if name.startswith(f"{FOLDER}/{DELETE}") else "is at work"
            holder = (files.find(name) or b"").decode(errors="replace")
            raise UserError(
                f"another process {doing} under {files.root} ({holder}); it gave a sign of life "
                f"{max(0, age):.0f} s ago, and counts as killed {EXPIRES / 60:.0f} minutes after its last one"
            )


def _write(files: Files, name: str) -> None:
    files.put(name, f"process {os.getpid()} on {os.uname().nodename}".encode())


def _renew(files: Files, name: str, over: threading.Event) -> None:
    while not over.wait(RENEWED):
        with contextlib.suppress(OSError):  # the next time it may succeed
            _write(files, name)
