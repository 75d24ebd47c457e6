"""Jobs, and the README's commands, on a real cluster that was started apart, with token authentication."""

import contextlib
import os
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from ray.dashboard.modules.job.pydantic_models import JobDetails, JobType
from ray.job_submission import JobStatus

from raysweep.cluster.submit import _stage, follow
from raysweep.errors import UserError
from raysweep.sweep.load import check
from tests.cluster.heads import TOKEN, ray_head
from tests.data.formats import write_cifar_python
from tests.environment import variables
from tests.inside import here
from tests.readmes import as_a_process, marked
from tests.sweeps.test_sweep_files import SMALL
from tests.test_run import PROJECT, TINY, raysweep

OWN = """
from torch import nn

def net(shape, classes, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, classes))
"""

REDUCED = {
    **SMALL,
    "train.width": 2,
    "train.replicates": 3,
    "train.milestones": "[1]",
    "compare.mean_networks": "[]",
    "analyses": "[]",
}
LOG = ["the first line\n", "the second", " line\n", "the end\n"]


class Unreliable:
    """A client that loses the connection: after so many parts of the log at the first, second, ... time."""

    def __init__(self, parts, code=0):
        self.parts, self.code, self.asked = parts, code, 0

    async def tail_job_logs(self, job):
        parts = self.parts[min(self.asked, len(self.parts) - 1)]
        for text in LOG[:parts]:
            yield text
        if parts < len(LOG):
            raise RuntimeError("WebSocket connection closed unexpectedly with close code 1006")

    def get_job_status(self, job):
        self.asked += 1
        if self.asked == 2:
            raise ConnectionError("no route to host")
        return JobStatus.RUNNING if self.asked < 3 else JobStatus.FAILED

    def get_job_logs(self, job):
        return "".join(LOG)

    def get_job_info(self, job):
        return JobDetails(
            type=JobType.SUBMISSION,
            status=JobStatus.FAILED,
            entrypoint="",
            driver_exit_code=self.code if self.asked >= 3 else None,
        )


@pytest.mark.parametrize(("code", "expected"), [(2, 2), (0, 0), (None, 1)])
@pytest.mark.parametrize("parts", [[0], [1, 2, 4], [4]])
def test_a_job_is_followed_to_its_end_though_connections_are_lost(parts, code, expected, monkeypatch):
    """Every line is shown once."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    said = []
    assert follow(Unreliable(parts, code), "job", said.append, "http://head:8265") == expected
    assert "".join(text for text in said if "connection" not in text) == "".join(LOG)
    assert sum("connection to the log of job is lost" in text for text in said) == 1


def test_a_cluster_that_does_not_come_back_is_left_with_the_command_to_return(monkeypatch):
    now = iter(range(0, 100_000, 300))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    client = Unreliable([0])
    client.get_job_status = lambda job: (_ for _ in ()).throw(ConnectionError("no route to host"))
    with pytest.raises(UserError, match="ray job logs --follow --address http://head:8265 job"):
        follow(client, "job", [].append, "http://head:8265")


def test_a_job_that_a_new_head_has_forgotten_is_not_waited_for(monkeypatch):
    """The log of such a job is not asked for again: Ray's head would write the token to its own."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    client, said = Unreliable([1]), []
    answers = iter([ConnectionError("no route"), RuntimeError("status code 404: Job job does not exist")])
    client.get_job_status = lambda job: (_ for _ in ()).throw(next(answers))
    with pytest.raises(UserError, match=r"job job is not known there; .*submit the sweep again"):
        follow(client, "job", said.append, "http://head:8265")
    assert said[0] == LOG[0]
    assert next(answers, None) is None


def of_model(model):
    train = {"dataset": "digits", "width": 4, "epochs": 1, "model": model}
    return check("test", {"name": "s", "train": train})


def test_what_is_installed_is_not_sent(small, tmp_path):
    _stage(tmp_path / "staged", str(small), of_model("torch.nn:Linear"))
    assert {path.name for path in (tmp_path / "staged").iterdir()} == {"analysis", "raysweep", "sweeps"}


def test_a_namespace_package_is_refused_by_name(small, tmp_path, monkeypatch):
    (tmp_path / "own_space").mkdir()
    (tmp_path / "own_space" / "nets.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"model 'own_space.nets:net': .* own_space has no __init__.py"):
        _stage(tmp_path / "staged", str(small), of_model("own_space.nets:net"))


def test_relative_imports_travel(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "a.pt").write_bytes(b"weights")

    def sweep(*files):
        return check(
            "test", {"name": "s", "train": {"dataset": "digits", "width": 4, "imports": list(files)}}
        )

    for number, name in enumerate(("weights/a.pt", "weights", "weights/*.pt")):
        folder = tmp_path / f"staged_{number}"
        _stage(folder, str(small), sweep(name, "/shared/b.pt"))
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


def test_a_job_runs_here_and_its_log_and_exit_code_come_back(cluster, small, tmp_path, monkeypatch):
    """Half of its trials diverge."""
    (tmp_path / "own_network.py").write_text(OWN)
    uri = "http://ann:s3cret@127.0.0.1:9"
    command = ["submit", small, "--root", "s3://bucket/jobs", "--address", cluster]
    command += ["--set", "train.model=own_network:net", "--set", "train.learning_rate=[0.1, 1e30]"]
    with command_lines() as lines:
        output = raysweep(*command, code=1, PYTHONPATH=str(tmp_path), MLFLOW_TRACKING_URI=uri)
    assert not any(TOKEN.encode() in line for line in lines)
    assert TOKEN not in output
    assert "MLFLOW_TRACKING_URI holds credentials and is not sent" in output
    assert "s3cret" not in output
    assert "Diverged" in output
    assert "s3://bucket/jobs/sweeps/tiny" in output
    counts = "trials 2/4, alignments 1/2, barriers 2/4, failures"
    monkeypatch.syspath_prepend(tmp_path)
    assert counts in here("status", "s3://bucket/jobs")


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


def test_the_readmes_commands_run_with_the_token_from_a_file_which_nobody_else_sees(
    cluster, small, tmp_path, monkeypatch
):
    """At a reduced size. The logs of the cluster are searched for the token when that ends."""
    write_cifar_python(tmp_path / "data" / "cifar-10-batches-py", "cifar10")
    (tmp_path / "sweeps").symlink_to(PROJECT / "sweeps")
    (tmp_path / "token").write_text(TOKEN)
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    sets = [f"{key}={value}" for key, value in {"train.data_root": tmp_path / "data", **REDUCED}.items()]
    with command_lines() as lines:
        for line in marked(".", "cluster").lines:
            assert line.startswith("raysweep ")
            output = as_a_process(line.replace("http://head:8265", cluster), tmp_path, sets)
            assert "s3://bucket/prefix/sweeps/strong_vgg16_cifar10" in output
            assert TOKEN not in output
    assert any(line.startswith(b"ray::") for line in lines)
    assert not any(TOKEN.encode() in line for line in lines)
    stored = "s3://bucket/prefix/sweeps/strong_vgg16_cifar10/barriers"
    assert set(pd.read_parquet(stored).kind) == {"unaligned", "direct", "via", "joint"}
    (tmp_path / "token").write_text("wrong" * 10)
    raysweep("run", small, "--root", tmp_path / "other", "--address", os.environ["RAY_ADDRESS"], code=2)


def test_without_the_token_nothing_is_sent(cluster, small):
    command = ["submit", small, "--root", "s3://bucket/jobs", "--address", cluster]
    assert "RAY_AUTH_TOKEN_PATH" in raysweep(*command, code=2, RAY_AUTH_TOKEN="wrong" * 10)


def test_a_root_that_only_this_machine_knows_is_refused(cluster, small):
    output = raysweep("submit", small, "--root", "runs", "--address", cluster, code=2)
    assert "absolute path" in output
