"""The log of a run, kept under the root so that it outlives the terminal, the pod and the cluster.

logs/<sweep>/<UTC start>-<id>.log    one per run and sweep: the command, the plan, progress and failures
"""

import contextlib
import os
import sys
import threading
import time
import traceback
import uuid
from types import TracebackType

from rich.console import Console

from raysweep import __version__
from raysweep.errors import UserError
from raysweep.store.files import Files
from raysweep.version import code_digest

FOLDER = "logs"
EVERY = 30.0  # seconds between two writes, and so the most that a killed process loses


class RunLog:
    """Prints to a console and keeps the same lines, with their times, as an object under the root.

    The object is written at the start, every `EVERY` seconds, and at the end, even of a run that fails or is
    interrupted. Storage that refuses it does not end a run, because every write contains all lines.
    """

    def __init__(self, files: Files, sweep: str, console: Console) -> None:
        self.console = console
        self.name = (
            f"{FOLDER}/{sweep}/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:8]}.log"
        )
        self._files = files
        self._lines: list[str] = []
        self._written = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_writing, name="log", daemon=True)

    def __enter__(self) -> "RunLog":
        command = " ".join(["raysweep", *sys.argv[1:]])
        where = f"process {os.getpid()} on {os.uname().nodename}"
        self.record(f"{command}\nraysweep {__version__}, code {code_digest()}, {where}")
        self.write()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if isinstance(error, UserError):
            self.record(f"error: {error}")
        elif isinstance(error, KeyboardInterrupt):
            self.record("interrupted; the same command goes on from here")
        elif error:
            self.record("".join(traceback.format_exception(error)))
        else:
            self.record("the end")
        self._over.set()
        self._thread.join()
        self.write()

    def print(self, text: str) -> None:
        """Print a text and record it."""
        self.console.print(text, markup=False)
        self.record(text)

    def record(self, text: str) -> None:
        """Record a text without printing it."""
        self._lines.append(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text.rstrip()}\n")

    def write(self) -> None:
        """Replace the object if lines were added."""
        with self._lock, contextlib.suppress(OSError):
            count = len(self._lines)
            if count > self._written:
                self._files.put(self.name, "".join(self._lines[:count]).encode())
                self._written = count

    def _keep_writing(self) -> None:
        while not self._over.wait(EVERY):
            self.write()
