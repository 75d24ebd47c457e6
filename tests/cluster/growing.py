"""A cluster that grows: Ray's own autoscaler with its fake provider, whose nodes are processes here."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster.heads import free_port

SETTINGS = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_AUTH_MODE": "disabled"}
LISTS = ("cluster_synced_files", "initialization_commands", "setup_commands", "head_setup_commands")
LISTS += ("worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands")
LISTS += ("rsync_exclude", "rsync_filter")  # of what the configuration of a cluster must have


def _configuration(port, most):
    """At most so many nodes of one CPU, beside a head without any."""
    node = {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": most}
    head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    return {
        "cluster_name": "growing",
        "max_workers": most,
        "idle_timeout_minutes": 0.05,
        "upscaling_speed": 10,
        "provider": {
            "type": "fake_multinode",
            "gcs_address": f"127.0.0.1:{port}",
            "launch_multiple": True,
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
        },
        "available_node_types": {"ray.head.default": head, "node": node},
        "head_node_type": "ray.head.default",
        "auth": {},
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        "docker": {},
        **{key: [] for key in LISTS},
    }


@contextlib.contextmanager
def growing_cluster(most):
    """Yield the address of a cluster that begins without a CPU; its autoscaler adds nodes of one CPU each.

    It is stopped by its process group, because `ray stop` would stop every Ray on the machine.
    """
    port, folder = free_port(), tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    configuration = Path(folder) / "growing.json"
    configuration.write_text(json.dumps(_configuration(port, most)))
    options = ["--node-ip-address=127.0.0.1", f"--port={port}", f"--temp-dir={folder}", "--num-cpus=0"]
    options += ["--include-dashboard=false", "--disable-usage-stats", f"--autoscaling-config={configuration}"]
    options += [f"--ray-client-server-port={free_port()}", f"--dashboard-agent-listen-port={free_port()}"]
    head = subprocess.Popen(
        [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", *options],
        env={**os.environ, **SETTINGS},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert head.poll() is None, "ray start ended"
            assert time.monotonic() < deadline, "the head does not answer"
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        head.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            head.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGKILL)
        head.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
