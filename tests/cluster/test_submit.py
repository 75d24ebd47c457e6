"""Jobs on a real cluster that was started apart, with token authentication."""

import contextlib
import os
import threading
import time
from pathlib import Path

import pytest
import yaml
from ray.dashboard.modules.job.pydantic_models import JobDetails, JobType
from ray.job_submission import JobStatus

from raysweep.cluster.submit import _stage, follow
from raysweep.errors import UserError
from raysweep.sweep.load import check
from tests.cluster.heads import TOKEN, ray_head
from tests.environment import variables
from tests.test_run import TINY, raysweep

OWN = """
from torch import nn

def net(shape, classes, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, classes))
"""


class Unreliable:
    """A client that loses the connection to the log, and whose job has ended at the third question."""

    def __init__(self, code):
        self.code, self.asked = code, 0

    async def tail_job_logs(self, job):
        yield "half of a log\n"
        raise RuntimeError("WebSocket connection closed unexpectedly with close code 1006")

    def get_job_status(self, job):
        self.asked += 1
        return JobStatus.RUNNING if self.asked < 3 else JobStatus.FAILED

    def get_job_info(self, job):
        return JobDetails(
            type=JobType.SUBMISSION,
            status=JobStatus.FAILED,
            entrypoint="",
            driver_exit_code=self.code if self.asked >= 3 else None,
        )


@pytest.mark.parametrize(("code", "expected"), [(2, 2), (0, 0), (None, 1)])
def test_a_job_is_followed_to_its_end_without_its_log(code, expected, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    said = []
    assert follow(Unreliable(code), "job", said.append) == expected
    assert "the connection to the log of job is lost" in said[-1]


def test_relative_imports_travel(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "a.pt").write_bytes(b"weights")

    def sweep(*files):
        return check(
            "test", {"name": "s", "train": {"dataset": "digits", "width": 4, "imports": list(files)}}
        )

    folder = tmp_path / "staged"
    _stage(folder, str(small), sweep("weights/a.pt", "/shared/b.pt"))
    assert (folder / "weights" / "a.pt").read_bytes() == b"weights"
    for name in ("../outside.pt", "missing.pt"):
        with pytest.raises(UserError, match="cannot be sent"):
            _stage(tmp_path / Path(name).stem, str(small), sweep(name, "weights/a.pt"))


@pytest.fixture(scope="module")
def cluster(s3_variables):
    with variables(s3_variables), ray_head() as address:
        yield address


@pytest.fixture
def small(tmp_path):
    train = {**TINY["train"], "width": 4, "replicates": 2, "epochs": 1}
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({**TINY, "train": train}))
    return path


def test_a_job_runs_here_and_its_log_and_exit_code_come_back(cluster, small, tmp_path):
    (tmp_path / "own_network.py").write_text(OWN)
    secret = {"PYTHONPATH": str(tmp_path)}
    command = ["submit", small, "--root", "s3://bucket/jobs", "--address", cluster]
    with command_lines() as lines:
        output = raysweep(*command, "--set", "train.model=own_network:net", **secret)
    assert not any(TOKEN.encode() in line for line in lines)
    assert "barriers" in output
    assert "s3://bucket/jobs/sweeps/tiny" in output
    assert TOKEN not in output
    counts = "trials 2/2, alignments 1/1, barriers 2/2, failures 0"
    assert counts in raysweep("status", "s3://bucket/jobs", **secret)
    failing = raysweep(*command, "--set", "train.learning_rate=1e30", code=1, **secret)
    assert "Diverged" in failing


@contextlib.contextmanager
def command_lines():
    """Collect the command lines of all processes meanwhile."""

    def watch():
        while not over.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    found.add(path.read_bytes())

    found, over = set(), threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def test_a_run_joins_with_the_token_from_a_file_which_nobody_else_sees(cluster, small, tmp_path, monkeypatch):
    """The logs of the cluster are searched for it when that ends."""
    (tmp_path / "token").write_text(TOKEN)
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    address = ["--address", os.environ["RAY_ADDRESS"]]
    with command_lines() as lines:
        output = raysweep("run", small, "--root", tmp_path / "root", *address)
    assert any(line.startswith(b"ray::") for line in lines)
    assert not any(TOKEN.encode() in line for line in lines)
    assert TOKEN not in output
    (tmp_path / "token").write_text("wrong" * 10)
    raysweep("run", small, "--root", tmp_path / "other", *address, code=2)


def test_without_the_token_nothing_is_sent(cluster, small):
    command = ["submit", small, "--root", "s3://bucket/jobs", "--address", cluster]
    assert "RAY_AUTH_TOKEN_PATH" in raysweep(*command, code=2, RAY_AUTH_TOKEN="wrong" * 10)


def test_a_root_that_only_this_machine_knows_is_refused(cluster, small):
    output = raysweep("submit", small, "--root", "runs", "--address", cluster, code=2)
    assert "absolute path" in output
