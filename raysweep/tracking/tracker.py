"""When to log to MLflow, and the line about it for the user."""

import contextlib
import hashlib
import os
import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from raysweep.store.copies import as_directory
from raysweep.store.files import Files
from raysweep.store.lock import waiting_lock
from raysweep.sweep.load import Sweep
from raysweep.tables.rows import Row
from raysweep.tracking.address import is_own_database, shown, tracking_uri, without_password
from raysweep.tracking.links import runs_page
from raysweep.tracking.marker import Marker, read_marker, still_there, write_marker

if TYPE_CHECKING:
    from raysweep.tracking.log import Log

PATIENCE = 120  # seconds without an answer for which the end of a run waits for the tracking server
STOP = 2.0  # seconds for which a run that ends early waits: an interrupted one has few
MARKER = "tracking.json"
LOCAL = "http://127.0.0.1:5000"  # where `mlflow ui` answers
LATER = "the next run logs what is missing"


class Tracker:
    """Brings MLflow up to date with the published tables, in one daemon thread of the driver.

    Importing MLflow and its first migration take seconds, so `prepare` starts them in parallel with the
    work, and `update` logs what is there so far. Nothing is lost when a server is down or hangs: `finish`
    reports it, and the next run logs what is missing. What fails at the beginning, as an address or a
    password that can never work does, is said to `warn` at once, from the thread.
    """

    def __init__(self, files: Files, sweep: Sweep, warn: Callable[[str], None] | None = None) -> None:
        self._files, self._sweep, self._warn = files, sweep, warn
        self._folder = f"sweeps/{sweep.name}"
        self._marker = f"{self._folder}/{MARKER}"
        self._uri = tracking_uri(files)
        self._log: Log | None = None
        self._last: Path | None = None
        self._curves: Sequence[Row] = ()
        self._status = "RUNNING"  # of the sweep, at the last pass
        self._asked = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._begun = False
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        # Otherwise the client of a server prints two lines for every run that ends.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Have MLflow show that the sweep is at work, and how that ends where it does so by an exception."""
        self.prepare()
        try:
            yield
        except KeyboardInterrupt:
            self._stop("KILLED")
            raise
        except BaseException:
            self._stop("FAILED")
            raise

    def _stop(self, status: str) -> None:
        """Say how a run has ended early, in a single attempt."""
        thread = threading.Thread(target=self._try_to_end, args=[status], name="mlflow end", daemon=True)
        thread.start()
        thread.join(STOP)

    def _try_to_end(self, status: str) -> None:
        log = self._log
        with contextlib.suppress(Exception), self._alone():
            if log:
                log.end(status)

    def prepare(self) -> None:
        """Connect in the background."""
        if not self._begun:
            self._begun = True
            self._thread.start()

    def update(self, curves: Sequence[Row] = ()) -> None:
        """Have the tables that are published by now logged in the background, and return at once.

        So are `curves`, the rows of `metrics` of levels that are still being trained. While an earlier pass
        goes on, any number of calls ask for one more. What fails is tried again at the next call.
        """
        self._curves = curves
        self.prepare()
        self._asked.set()

    def finish(self, folder: Path, status: str = "FINISHED") -> str:
        """Log all that is in this folder and how the run has ended, and return a line for the user.

        Waits while the server answers, and for `PATIENCE` seconds after its last answer.
        """
        content, uri = _content(folder), shown(self._uri)
        marked = read_marker(self._files, self._marker)
        known = marked and (marked.uri, marked.content, marked.status) == (uri, content, status)
        if marked and known and still_there(self._files, self._uri, marked):
            return self._hint(marked.experiment)
        self._last, self._status = folder, status
        self.update()
        answers = -1
        while self._thread.is_alive() and answers < self._answers:
            answers = self._answers
            self._thread.join(PATIENCE)
        if self._thread.is_alive():
            return f"mlflow:  {uri} does not answer; {LATER}"
        if self._error is not None:
            return f"mlflow:  {uri} is not up to date ({self._said(self._error)}); {LATER}"
        assert self._log
        log = self._log
        marker = Marker(uri, content, log.experiment, log.runs.parent, status, log.runs.deleted)
        write_marker(self._files, self._marker, marker)
        return self._hint(self._log.experiment, self._log.remark)

    @property
    def _answers(self) -> int:
        return self._log.runs.answers if self._log else 0

    def _hint(self, experiment: str, remark: str = "") -> str:
        page, uri = runs_page(experiment), shown(self._uri)
        said = f"\n         {remark}" if remark else ""
        if uri.startswith("sqlite"):
            return f"mlflow:  mlflow ui --backend-store-uri {shlex.quote(uri)}\n         {LOCAL}/{page}{said}"
        if uri.startswith("http"):
            return f"mlflow:  {uri.rstrip('/')}/{page}{said}"
        return f"mlflow:  {uri}{said}"

    def _work(self) -> None:
        """Connect, then make a pass whenever it is asked for, until the last one."""
        self._try(self._begin)
        if self._error:
            self._warn_of("cannot be logged to", self._error)
        final = False
        while not final:
            self._asked.wait()
            self._asked.clear()
            final = self._last is not None
            self._try(self._pass)

    def _try(self, act: Callable[[], object]) -> None:
        """Do something, and keep its error: none may end the sweep or write the marker."""
        self._error = None
        try:
            with self._alone():
                act()
        except Exception as error:
            self._log, self._error = None, error

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        """Keep other drivers away from the root's own database, which is for one process at a time."""
        own = is_own_database(self._files, self._uri)
        return waiting_lock(self._files, ".mlflow") if own else contextlib.nullcontext()

    def _connected(self) -> "Log":
        from raysweep.tracking.log import Log

        self._log = self._log or Log(self._files, self._sweep, self._uri)
        return self._log

    def _begin(self) -> None:
        log = self._connected()
        if not self._last:
            log.begin()
            try:
                log.check_artifacts()
            except Exception as error:
                self._warn_of("cannot store figures", error)

    def _warn_of(self, what: str, error: Exception) -> None:
        """Say what is wrong while the work goes on; at its end `finish` does."""
        if self._warn and not self._last:
            said = f"{shown(self._uri)} {what} ({self._said(error)})"
            self._warn(f"mlflow:  {said}; the work goes on, and {LATER}")

    def _said(self, error: Exception) -> str:
        """Return the first line of an error, without a password."""
        return without_password(f"{type(error).__name__}: {error}".splitlines()[0], self._uri)

    def _pass(self) -> None:
        log = self._connected()
        if self._last:
            try:
                log.everything(self._last, self._status)
            except Exception:
                with contextlib.suppress(Exception):
                    log.end(self._status)  # no longer at work, whatever is missing
                raise
            return
        with as_directory(self._files, self._folder) as folder:
            log.everything(folder, curves=self._curves)


def _content(folder: Path) -> str:
    """Return the digest of everything that is logged."""
    figures = [path for path in folder.glob("figures/**/*") if path.is_file()]
    sha = hashlib.sha256()
    for path in sorted([*folder.glob("*/*.parquet"), *figures, folder / "sweep.yaml"]):
        sha.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return sha.hexdigest()
