"""Let Ray fork its workers from one process that has imported what they import.

Most of what the tests cost is the import of torch, which takes three seconds of processor in each of some
hundred workers. Ray starts a node's workers with the Python of the process that starts the node. Here that is
a launcher, which hands the worker's arguments, environment, open files and niceness to a server
(`prefork_server.py`); a fork of the server becomes the worker, a process like any other. Ray is unchanged,
and whatever is no worker, the launcher starts as Python does.
"""

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

from ray.cluster_utils import Cluster

LAUNCHER = """#!{python} -SE
import json, os, socket, sys
if not any(word.endswith("/default_worker.py") for word in sys.argv[1:3]):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
worker = {{"words": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}}
worker["niceness"] = os.nice(0)
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"with these files:"], [0, 1, 2])
    server.sendall(json.dumps(worker).encode())
    server.shutdown(socket.SHUT_WR)
    server.recv(1)  # until the fork exists
"""


class PreforkCluster(Cluster):
    """Nodes of Ray on this machine whose workers are forks."""

    def add_node(self, **options):
        python, sys.executable = sys.executable, _launcher()
        try:
            return super().add_node(**options)
        finally:
            sys.executable = python


@functools.cache
def _launcher() -> str:
    """Start the server, which ends with this process; returns the program that asks it for a fork."""
    folder = Path(tempfile.mkdtemp(prefix="prefork-"))
    launcher, address = folder / "python", str(folder / "socket")
    launcher.write_text(LAUNCHER.format(python=sys.executable, address=address))
    launcher.chmod(0o755)
    script = str(Path(__file__).with_name("prefork_server.py"))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    server = subprocess.Popen([sys.executable, "-P", script, address], **pipes)
    assert server.stdout.readline() == b"ready\n"
    return str(launcher)
