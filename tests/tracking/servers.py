"""A real MLflow server on loopback."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PATIENCE = 60  # seconds for a page on a loaded machine: waits end as soon as the page is there


def free_port():
    """A port of this machine that nobody uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def client_of(uri):
    """A client of a tracking server; importing it takes seconds, which tests without one are spared."""
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)


def copy_database(path):
    """Put an empty database of MLflow's there, unless there is one: MLflow takes seconds to make its tables.

    They are made once on a machine for each version of MLflow.
    """
    import mlflow

    made = Path(tempfile.gettempdir()) / f"raysweep-tests-{os.getuid()}-mlflow-{mlflow.__version__}.db"
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=made.parent) as folder:
            client_of(f"sqlite:///{folder}/mlflow.db").search_experiments()
            os.replace(f"{folder}/mlflow.db", made)
    if not path.exists():
        shutil.copy(made, path)


@contextlib.contextmanager
def mlflow_server(folder, port, **options):
    """A server with one worker and its database in a folder; its whole process group ends with the block.

    Yields a function that kills it.
    """
    copy_database(folder / "mlflow.db")
    options = {
        "backend-store-uri": f"sqlite:///{folder}/mlflow.db",
        "artifacts-destination": folder / "artifacts",
        "host": "127.0.0.1",
        "port": port,
        "workers": 1,
        **options,
    }
    log = folder / "log"
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *(f"--{key}={value}" for key, value in options.items())],
        cwd=folder,
        env={
            **os.environ,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },  # many processes
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )

    def kill():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    try:
        deadline = time.monotonic() + 5 * PATIENCE
        while not _is_up(f"http://127.0.0.1:{port}"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield kill
    finally:
        kill()


def _is_up(url):
    """Whether the server answers at all."""
    try:
        return urllib.request.urlopen(f"{url}/health", timeout=PATIENCE).status == 200
    except OSError:
        return False
