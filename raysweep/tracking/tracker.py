"""When to log to MLflow, and the line about it for the user.

When a marker under the root shows that the server is up to date, mlflow is not even imported.
"""

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from raysweep.errors import UserError
from raysweep.store.files import Files
from raysweep.sweep.load import Sweep
from raysweep.tracking.links import runs_page

PATIENCE = 120  # seconds for which the end of a run waits for the tracking server
MARKER = "tracking.json"
LOCAL = "http://127.0.0.1:5000"  # where `mlflow ui` answers


class Tracker:
    """Brings MLflow up to date with the published tables, in one daemon thread of the driver.

    Importing MLflow and its first migration take seconds, so `prepare` starts them in parallel with the
    work. Nothing is lost when a server is down or hangs: `finish` reports it, and the next run logs what is
    missing.
    """

    def __init__(self, files: Files, sweep: Sweep) -> None:
        self._files, self._sweep = files, sweep
        self._marker = f"sweeps/{sweep.name}/{MARKER}"
        self._uri = tracking_uri(files)
        self._folder: Path | None = None
        self._ready = threading.Event()
        self._error: Exception | None = None
        self._experiment = ""
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)

    def prepare(self) -> None:
        """Connect in the background."""
        self._thread.start()

    def finish(self, folder: Path) -> str:
        """Log the tables in this folder, for at most `PATIENCE` seconds, and return a line for the user."""
        self._folder = folder
        state = {"uri": self._uri, "content": _content(folder)}
        marked = self._marked()
        if state.items() <= marked.items() and "experiment" in marked:
            return self._hint(marked["experiment"])
        if not self._thread.is_alive() and self._error is None:
            self._thread.start()
        self._ready.set()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            return f"mlflow:  {self._uri} does not answer; the next run logs what is missing"
        if self._error is not None:
            first = f"{type(self._error).__name__}: {self._error}".splitlines()[0]
            return f"mlflow:  {self._uri} is not up to date ({first}); the next run logs what is missing"
        self._files.put(self._marker, json.dumps(state | {"experiment": self._experiment}).encode())
        return self._hint(self._experiment)

    def _marked(self) -> dict[str, Any]:
        return json.loads(self._files.get(self._marker)) if self._files.exists(self._marker) else {}

    def _hint(self, experiment: str) -> str:
        page = runs_page(experiment)
        if self._uri.startswith("sqlite"):
            return f"mlflow:  mlflow ui --backend-store-uri {self._uri}\n         {LOCAL}/{page}"
        if self._uri.startswith("http"):
            return f"mlflow:  {self._uri.rstrip('/')}/{page}"
        return f"mlflow:  {self._uri}"

    def _work(self) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        # Otherwise the client of a server prints two lines for every run that ends.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        try:
            from raysweep.tracking.log import Log

            log = Log(self._files, self._sweep, self._uri)
            self._experiment = log.experiment
            self._ready.wait()
            assert self._folder
            log.everything(self._folder)
        except Exception as error:  # no error may end the sweep or write the marker
            self._error = error


def tracking_uri(files: Files) -> str:
    """Return the URI of the tracking server or database.

    Raises `UserError` for a root in object storage when MLFLOW_TRACKING_URI is not set.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI")
    if given:
        return given
    if files.directory is None:
        raise UserError(
            f"root {files.root}: object storage holds no MLflow database; set MLFLOW_TRACKING_URI to a "
            "tracking server, or tracking.enabled to false"
        )
    return f"sqlite:///{files.directory / 'mlflow.db'}"


def _content(folder: Path) -> str:
    """Return the digest of everything that is logged."""
    figures = [path for path in folder.glob("figures/**/*") if path.is_file()]
    sha = hashlib.sha256()
    for path in sorted([*folder.glob("*/*.parquet"), *figures, folder / "sweep.yaml"]):
        sha.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return sha.hexdigest()
