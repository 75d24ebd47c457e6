"""A Ray cluster as users start one: `ray start --head` with a dashboard and token authentication."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from tests.environment import restore

TOKEN = "a-token-of-more-than-thirty-two-characters"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def ray_head(cpus=2, before=(), cwd=None, environment=None):
    """Yield the dashboard's address; meanwhile the environment has the token (but not the mode, as a user's
    has not) and the cluster's address.

    The words `before` come before the command; it is started in `cwd`, with more variables.

    It is stopped by its process group: `ray stop` would stop every Ray. In a folder of its own it leaves no
    note of its address, which a later `ray.init()` on this machine would try to join. `python` is the one
    that runs the tests, as it is on the nodes of a cluster.
    """
    port, dashboard, folder = free_port(), free_port(), tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    bin_folder = Path(sys.executable).parent
    options = [
        f"--temp-dir={folder}",
        f"--port={port}",
        f"--dashboard-port={dashboard}",
        f"--dashboard-agent-listen-port={free_port()}",  # takes jobs; else one port for all heads
        f"--ray-client-server-port={free_port()}",
        f"--num-cpus={cpus}",
    ]
    options += ["--include-dashboard=true", "--disable-usage-stats"]
    head = subprocess.Popen(
        [*before, str(bin_folder / "ray"), "start", "--head", "--block", *options],
        cwd=cwd,
        env={
            **os.environ,
            **(environment or {}),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{dashboard}"
    client = {"RAY_AUTH_TOKEN": TOKEN, "RAY_AUTH_MODE": None, "RAY_ADDRESS": f"127.0.0.1:{port}"}
    outside = {key: os.environ.get(key) for key in client}
    restore(client)
    try:
        deadline = time.monotonic() + 120
        while not _answers(address):
            assert head.poll() is None, "ray start ended"
            assert time.monotonic() < deadline, "the dashboard does not answer"
            time.sleep(0.2)
        yield address
    finally:
        restore(outside)
        head.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            head.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGKILL)
        head.wait()
        told = [
            path for path in Path(folder).rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()
        ]
        shutil.rmtree(folder, ignore_errors=True)
    assert not told, "the token is in files of the cluster"


def _answers(address):
    try:
        return urlopen(f"{address}/api/version", timeout=2).status == 200
    except HTTPError as error:
        return error.code in (401, 403)  # it is there and wants a token
    except (URLError, OSError):
        return False
