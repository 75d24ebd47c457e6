"""Several nodes: real Ray nodes on this machine, a whole one of which is killed."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from raysweep.cluster.nodes import NodeCheck
from raysweep.cluster.suspects import Suspects
from raysweep.store.files import Files
from tests.cluster import poison
from tests.cluster.heads import free_port
from tests.cluster.test_pool import Hooks
from tests.environment import variables
from tests.faults import NODES as LOST
from tests.inside import here
from tests.machine import BARE, PATIENCE, connected
from tests.prefork import PreforkCluster
from tests.test_run import PROJECT, same, tables

NODES = 2
ALL = ("--set", "resources.workers=null")  # as many workers as there is room for on all nodes
PACKAGE = PROJECT / "raysweep"
NOTICED = {  # a lost node is noticed in seconds
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
}


@pytest.fixture(scope="module")
def nodes(switches):
    head = {"num_cpus": 1, **BARE, "_system_config": NOTICED}
    with variables(switches):
        found = PreforkCluster(initialize_head=True, head_node_args=head)
        yield found
        found.shutdown()


@pytest.fixture
def cluster(nodes):
    """Nodes of one CPU: those that were lost are replaced."""
    while len(nodes.worker_nodes) < NODES - 1:
        nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    return nodes


@contextlib.contextmanager
def another_machine(cluster, command="", **environment):
    """A node with a file system of its own, changed by a command before it starts."""
    before = _living(cluster)
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("this user cannot give a process a file system of its own")
    ray = str(Path(sys.executable).parent / "ray")
    options = [f"--dashboard-agent-listen-port={free_port()}"]  # the default may be another Ray's
    options += ["--include-log-monitor=false"]  # as on the cluster's other nodes
    start = shlex.join([ray, "start", f"--address={cluster.address}", "--block", "--num-cpus=1", *options])
    again = f"for attempt in 1 2 3; do {start} && break; done"  # Ray gives up a node that takes 30 s to start
    node = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f"{command} && {again}"],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while _living(cluster) <= before:
            assert node.poll() is None
            time.sleep(0.2)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()
        while _living(cluster) > before:
            time.sleep(0.1)


def _living(cluster):
    return len(cluster.global_state._live_node_ids())


def test_a_root_that_only_some_nodes_see_is_said_before_any_work(tiny, cluster, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    with another_machine(cluster, f"mount -t tmpfs none {root}"):
        output = here("run", tiny, "--root", root, "--address", cluster.address, code=2)
    assert "is not seen there; give a directory that all nodes share" in output
    assert not list(root.glob("trials/*"))


def test_a_node_with_other_code_is_said_before_any_work(tiny, cluster, tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "raysweep")
    with (tmp_path / "raysweep" / "digest.py").open("a") as file:
        file.write("# changed\n")
    with another_machine(cluster, f"mount --bind {tmp_path / 'raysweep'} {PACKAGE}"):
        root = tmp_path / "root"
        output = here("run", tiny, "--root", root, "--address", cluster.address, code=2)
    assert "another version of raysweep than that of this driver" in output
    assert not list(root.glob("trials/*"))


def test_nodes_that_join_and_can_do_no_work_are_avoided(cluster, tmp_path):
    """One does not see the root, and raysweep does not run on the other."""
    said = []
    hooks = Hooks()
    hooks.waits = said.append
    suspects = Suspects(hooks)
    hidden = [another_machine(cluster, f"mount -t tmpfs none {folder}") for folder in (tmp_path, PACKAGE)]
    with connected(cluster.address), closing(NodeCheck(Files(str(tmp_path)))) as check:
        check.check_all()
        with hidden[0], hidden[1]:
            deadline = time.monotonic() + PATIENCE
            while len(suspects.avoided) < len(hidden):
                assert time.monotonic() < deadline, "a node that can do no work is not avoided"
                check.check_new(suspects)
                time.sleep(0.2)
            assert len(suspects.avoided) == len(hidden)
            assert suspects.avoided.isdisjoint(node.node_id for node in cluster.list_all_nodes())
    assert len(said) == len(hidden)
    for problem in ("is not seen there", "raysweep does not run there"):
        assert sum(problem in each for each in said) == 1


def test_lost_nodes_lose_nothing(tiny, undisturbed, cluster, tmp_path):
    """Several nodes give the bits of one, though a node goes, and all its processes with it, when the first
    trial, and when the first tile, is done."""
    cluster.add_node(num_cpus=1)

    def lose():
        for stage in ("trials/*/level_000/done", "results/barriers/*/*"):
            while not list(tmp_path.glob(stage)) and not over.is_set():
                time.sleep(0.02)
            node = min(cluster.worker_nodes, key=lambda node: node.unique_id)
            cluster.remove_node(node, allow_graceful=False)
            lost.append(node)

    over, lost = threading.Event(), []
    loser = threading.Thread(target=lose)
    loser.start()
    try:
        here("run", tiny, "--root", tmp_path, "--address", cluster.address, *ALL)
    finally:
        over.set()
        loser.join()
    assert len(lost) == LOST
    assert same(tables(tmp_path), tables(undisturbed))
    assert not list(tmp_path.glob("trials/*/starts"))


MIXED = {
    "name": "tiny",
    "train": {
        "dataset": "digits",
        "model": "tests.cluster.poison:net",
        "width": 3,
        "epochs": 1,
        "batch_size": 256,
        "replicates": 2,
    },
    "compare": {"kinds": ["direct"], "splits": ["test"], "alphas": 3},
    "analyses": [],
    "tracking": {"enabled": False},
}


@contextlib.contextmanager
def node_with_gpu(cluster):
    node = cluster.add_node(num_cpus=1, num_gpus=1)
    try:
        yield node
    finally:
        cluster.remove_node(node)


def test_trials_on_gpu_nodes_and_alignment_on_cpus_or_shares_of_gpus(cluster, tmp_path):
    """What the processes are given, and where they are, as they say themselves."""
    path, root = tmp_path / "tiny.yaml", tmp_path / "root"
    path.write_text(yaml.safe_dump(MIXED))
    with node_with_gpu(cluster) as node, connected(cluster.address):
        half = {"cpu": 0.5, "gpu": 0.5}
        run = ["run", path, "--root", root, "--set"]
        poison.reset()
        here(*run, f"resources={{trial: {half}, align: {{cpu: 1}}, workers: 2}}")
        training, aligning = poison.notes("ResourceTrainable"), poison.notes("AlignWorker")
        assert {note["node"] for note in training} == {node.node_id}
        assert all(note["resources"].items() >= {"CPU": 0.5, "GPU": 0.5}.items() for note in training)
        assert aligning
        assert all(note["resources"]["CPU"] == 1 and "GPU" not in note["resources"] for note in aligning)
        poison.reset()
        quarter = "{cpu: 0.5, gpu: 0.25}"
        here(*run, f"resources={{trial: {half}, align: {quarter}}}", "--set", "compare.alphas=5")
        aligning = poison.notes("AlignWorker")
        assert {note["node"] for note in aligning} == {node.node_id}
        assert all(note["resources"].items() >= {"CPU": 0.5, "GPU": 0.25}.items() for note in aligning)
        assert not poison.notes("ResourceTrainable")


def test_a_node_that_lacks_something_is_avoided_and_named(cluster, tmp_path):
    """Its trials and pairs are done by the others, and nothing is a failure."""
    path, root = tmp_path / "tiny.yaml", tmp_path / "root"
    train = {**MIXED["train"], "width": 7, "replicates": 5}
    path.write_text(yaml.safe_dump({**MIXED, "train": train}))
    bad = min(cluster.worker_nodes, key=lambda node: node.unique_id)
    poison.reset()
    for kind in ("ResourceTrainable", "AlignWorker"):
        poison.switch(kind, 7, f"missing {bad.node_id}")
    try:
        output = here("run", path, "--root", root, "--address", cluster.address, *ALL)
    finally:
        poison.reset()
    assert re.search(r"node \S+ \(\S+\) is avoided: .*no such module on this node", output)
    assert len(tables(root)["trials"]) == 5
    assert len(tables(root)["barriers"]) == 10
    assert tables(root)["failures"].empty
