"""Results while a run goes on: tables, analyses, the page and MLflow, by a process of their own.

The process has the lowest priority and does what `raysweep run` does at the end, through the same functions.
The run only tells it when, and its `News`. It is killed before the run publishes its last tables.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

from raysweep.commands.news import News
from raysweep.commands.run_log import RunLog
from raysweep.commands.standing import end_progress
from raysweep.store.files import Files
from raysweep.sweep.load import Sweep


class LivePublication:
    """Has a run in progress published every `resources.publish_seconds`; `begun` says whether it ever was.

    A publication that takes longer than that is followed by the next one at once, so that no committed row
    waits longer than for the rest of one publication and the whole of another.
    """

    def __init__(self, files: Files, sweep: Sweep, news: Callable[[], News], log: RunLog) -> None:
        self._files, self._sweep, self._news, self._log = files, sweep, news, log
        self._every = sweep.sections.resources.publish_seconds
        self._process: subprocess.Popen[str] | None = None
        self._lock, self._over = threading.Lock(), threading.Event()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed at the end of the block
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._keep_publishing, name="live", daemon=True)

    @property
    def begun(self) -> bool:
        return self._process is not None

    def __enter__(self) -> "LivePublication":
        end_progress(self._files, self._sweep.name)  # of a run that was killed
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._over.set()
            if self._process:
                self._process.kill()
        self._thread.join()
        if self._process:
            self._process.wait()
            end_progress(self._files, self._sweep.name)
        self._errors.close()

    def _keep_publishing(self) -> None:
        due = time.monotonic() + self._every
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + self._every
            try:
                self._publish()
            except (OSError, ValueError):  # the process has ended; the next publication starts another
                if self._process:
                    self._process.kill()

    def _publish(self) -> None:
        with self._lock:
            if self._over.is_set():
                return
            if self._process and self._process.poll() is not None:
                self._tell_end(self._process.poll())
                self._process = None
            self._process = self._process or self._start()
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(self._news().to_line())
        self._process.stdin.flush()
        for problem in json.loads(self._process.stdout.readline()):
            self._tell(problem)

    def _tell_end(self, status: int | None) -> None:
        self._errors.seek(0)
        last = self._errors.read().strip().splitlines()[-1:] or [f"exit status {status}"]
        self._tell(f"its process has ended ({last[0]}) and is started again")

    def _tell(self, problem: str) -> None:
        if problem not in self._told:
            self._told.add(problem)
            self._log.record(f"a publication while the run goes on: {problem}")

    def _start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "raysweep.commands.publisher", self._files.root, self._sweep.name]
        pipe = subprocess.PIPE
        self._errors.seek(0)
        self._errors.truncate()
        return subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=self._errors,
            text=True,
            process_group=0,  # Ctrl-C is for the run, which ends this process
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
