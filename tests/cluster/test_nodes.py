"""Several nodes: real Ray nodes on this machine, a whole one of which is killed."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from tests.test_run import PROJECT, raysweep, same, tables, tiny, undisturbed  # noqa: F401  (fixtures)

NOTICED = {  # a lost node is noticed in seconds
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
}


@pytest.fixture
def cluster():
    found = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, "_system_config": NOTICED},
    )
    for _ in range(3):
        found.add_node(num_cpus=1)
    yield found
    found.shutdown()


def test_four_nodes_give_the_bits_of_one(tiny, undisturbed, cluster, tmp_path):  # noqa: F811
    raysweep("run", tiny, "--root", tmp_path, "--address", cluster.address)
    assert same(tables(tmp_path), tables(undisturbed))


@contextlib.contextmanager
def another_machine(cluster, command="", **environment):
    """A node with a file system of its own, changed by a command before it starts."""
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("this user cannot give a process a file system of its own")
    ray = str(Path(sys.executable).parent / "ray")
    start = shlex.join([ray, "start", f"--address={cluster.address}", "--block", "--num-cpus=1"])
    node = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f"{command} && exec {start}"],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while len(cluster.global_state._live_node_ids()) < 5:
            assert node.poll() is None
            time.sleep(0.2)
        yield
    finally:
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()


def test_a_root_that_only_some_nodes_see_is_said_before_any_work(tiny, cluster, tmp_path):  # noqa: F811
    root = tmp_path / "root"
    root.mkdir()
    with another_machine(cluster, f"mount -t tmpfs none {root}"):
        output = raysweep("run", tiny, "--root", root, "--address", cluster.address, code=2)
    assert "do not see it; give a directory that all nodes share" in output
    assert not list(root.glob("trials/*"))


def test_a_node_with_other_code_is_said_before_any_work(tiny, cluster, tmp_path):  # noqa: F811
    shutil.copytree(PROJECT / "raysweep", tmp_path / "raysweep")
    with (tmp_path / "raysweep" / "digest.py").open("a") as file:
        file.write("# changed\n")
    with another_machine(cluster, f"mount --bind {tmp_path / 'raysweep'} {PROJECT / 'raysweep'}"):
        root = tmp_path / "root"
        output = raysweep("run", tiny, "--root", root, "--address", cluster.address, code=2)
    assert "another version of raysweep" in output
    assert not list(root.glob("trials/*"))


@pytest.mark.parametrize("stage", ["trials/*/level_000/done", "results/barriers/*/*"])
def test_a_lost_node_loses_nothing(stage, tiny, undisturbed, cluster, tmp_path):  # noqa: F811
    """A node goes, and every process on it with it, as soon as the first trial, or tile, is done."""

    def lose():
        while not list(tmp_path.glob(stage)) and not over.is_set():
            time.sleep(0.05)
        cluster.remove_node(sorted(cluster.worker_nodes, key=lambda node: node.unique_id)[0], False)
        lost.set()

    over, lost = threading.Event(), threading.Event()
    loser = threading.Thread(target=lose)
    loser.start()
    try:
        raysweep("run", tiny, "--root", tmp_path, "--address", cluster.address)
    finally:
        over.set()
        loser.join()
    assert lost.is_set()
    assert same(tables(tmp_path), tables(undisturbed))
    assert not list(tmp_path.glob("trials/*/starts"))
