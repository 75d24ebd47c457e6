"""Processes and whole nodes that are killed at random moments of whole runs."""

import collections
import contextlib
import os
import random
import signal
import subprocess
import time

import pytest
import yaml

from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from tests.faults import KILLED
from tests.inside import carried_out, here
from tests.prefork import PreforkCluster
from tests.processes import ALIGNING, TRAINING, below
from tests.test_run import PROJECT, TINY, command, same, tables
from tests.tracking.servers import client_of, free_port, mlflow_server
from tests.verified import problems

pytestmark = pytest.mark.slow

NOTICED = {  # a lost node is noticed in seconds
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
}


@pytest.fixture
def longer(tmp_path):
    """A sweep that is long enough to be disturbed, with a resume point at every look at the clock."""
    path = tmp_path / "tiny.yaml"
    train = {**TINY["train"], "width": [8, 12], "epochs": 80, "checkpoints": []}
    sections = {
        "train": train,
        "resources": {"resume_seconds": 0},
        "compare": {"alphas": 101, "subdivisions": 24},
        "tracking": {"system_metrics": True},
        "analyses": [],
    }
    path.write_text(yaml.safe_dump({**TINY, **sections}))
    return path


class Machines:
    """Two nodes of one CPU, a tracking server, and a driver, all of which can be killed."""

    def __init__(self, stack, folder):
        self._stack, self._folder, self._port = stack, folder, free_port()
        self.uri = f"http://127.0.0.1:{self._port}"
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": NOTICED}
        self._cluster = PreforkCluster(initialize_head=True, head_node_args=head)
        stack.callback(self._cluster.shutdown)
        for _ in range(2):
            self._cluster.add_node(num_cpus=1)
        self.serve()
        self.driver = None
        stack.callback(lambda: self.driver and self.driver.kill())

    def serve(self):
        self._kill_server = self._stack.enter_context(mlflow_server(self._folder, self._port))

    def start(self, sweep, root):
        self.driver = subprocess.Popen(
            command("run", sweep, "--root", root, "--address", self._cluster.address),
            cwd=PROJECT,
            env={**os.environ, "MLFLOW_TRACKING_URI": self.uri, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"},
            stdout=subprocess.DEVNULL,
        )

    def victims(self, kind):
        match kind:
            case "node":
                return sorted(self._cluster.worker_nodes, key=lambda node: node.unique_id)
            case "tracking server":
                return [self._kill_server]
            case "driver":
                return [self.driver.pid]
        return below(os.getpid(), {"training actor": TRAINING, "align actor": ALIGNING}[kind])

    def kill(self, kind, victim):
        """Nodes and servers are replaced by others."""
        match kind:
            case "node":
                self._cluster.remove_node(victim, allow_graceful=False)
                self._cluster.add_node(num_cpus=1)
            case "tracking server":
                victim()
                self.serve()
            case _:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)


class Progress:
    """What trials have got done: at the end it is all still there, so that none has started over."""

    def __init__(self, root):
        self._root, self._store, self._seen = root, TrialStore(Files(str(root))), {}
        self._stamps = {}

    def note(self):
        for path in self._root.glob("trials/*/resume"):
            point = None
            with contextlib.suppress(FileNotFoundError):  # its trial has just ended
                point = self._store.read_resume(path.parent.name)
            if point:
                key, metrics = (path.parent.name, point.level), point.record.metrics
                self._extends(metrics, self._seen.get(key, ()))
                self._seen[key] = metrics
        for path in self._root.glob("trials/*/level_*/done"):
            self._stamps.setdefault(path, path.stat().st_mtime_ns)

    def check(self):
        assert self._seen
        for (trial, level), metrics in self._seen.items():
            self._extends(self._store.record(trial, level).metrics, metrics)
        assert all(path.stat().st_mtime_ns == stamp for path, stamp in self._stamps.items())

    def _extends(self, metrics, earlier):
        """Evaluations have the time when they were made."""
        assert metrics[: len(earlier)] == earlier, "a trial started over"


def disturbed(machines, sweep, root, chance, left):
    """Run a sweep over and over, killing whom `left` still counts at random moments, until it ends well."""
    progress = Progress(root)
    while machines.driver is None or machines.driver.returncode != 0:
        machines.start(sweep, root)
        while machines.driver.poll() is None:
            time.sleep(chance.uniform(0.05, 0.6))
            progress.note()
            victims = {kind: machines.victims(kind) for kind in left if list(root.glob("trials/*"))}
            there = {kind: left[kind] for kind, found in victims.items() if found}
            if sum(there.values()) and machines.driver.poll() is None:
                (kind,) = chance.choices(list(there), list(there.values()))
                machines.kill(kind, chance.choice(victims[kind]))
                left[kind] -= 1
        assert machines.driver.wait(300) in (0, 1, -signal.SIGKILL)
    machines.driver = None
    progress.check()


def test_kills_at_random_moments(longer, tmp_path, monkeypatch):
    """The tables are those of an undisturbed run; no trial starts over; nothing is left; nothing is logged
    twice."""
    chance, left, roots = random.Random(0), collections.Counter(KILLED), []
    with contextlib.ExitStack() as stack:
        machines = Machines(stack, tmp_path)
        while left.total():  # a fast machine may finish the sweep before: then once more, elsewhere
            roots.append(tmp_path / f"killed{len(roots)}")
            disturbed(machines, longer, roots[-1], chance, left)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", machines.uri)
        for root in roots:
            here("run", longer, "--root", root)  # there is nothing left to do but to log
        client = client_of(machines.uri)
        logged = all_logged(client)
        assert any("system/memory_megabytes" in run.data.metrics for run in all_runs(client))
    expected = tables(carried_out(longer, tmp_path / "calm"))
    for root in roots:
        assert same(tables(root), expected)
        assert not list(root.glob("tmp/*"))
        assert not [path for path in root.glob("trials/*/*") if path.name in ("resume", "starts")]
        assert not list(problems(Files(str(root))))
    for name, ids in logged.items():
        assert len(ids) == len(set(ids)) == 1 + 6 + 2 * 2, name
    assert len(logged) == len(roots)


def all_runs(client):
    return client.search_runs([each.experiment_id for each in client.search_experiments()])


def all_logged(client):
    """The ids of the runs of every experiment that has some."""
    found = collections.defaultdict(list)
    for run in all_runs(client):
        found[run.info.experiment_id].append(run.data.tags["raysweep.id"])
    return found
