"""A tracking server that is killed, or never answers: the work is done, and nothing is lost or doubled."""

import socket
import subprocess
import time

import pytest
from mlflow.tracking import MlflowClient

from tests.test_run import PROJECT, command, raysweep, tiny, undisturbed  # noqa: F401  (fixtures)
from tests.tracking.servers import free_port, mlflow_server

TRACKED = ["--set", "tracking.enabled=true"]


@pytest.fixture
def track(tiny, undisturbed):  # noqa: F811
    """The arguments of a run that has nothing to do but to log."""
    return ["run", tiny, "--root", undisturbed, *TRACKED]


def logged(client):
    """All runs of the only experiment with runs."""
    return [run for each in client.search_experiments() for run in client.search_runs([each.experiment_id])]


def test_a_server_killed_while_it_is_told(track, tmp_path):
    port = free_port()
    environment = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    with mlflow_server(tmp_path, port) as kill:
        client = MlflowClient(environment["MLFLOW_TRACKING_URI"])
        assert logged(client) == []
        driver = subprocess.Popen(
            ["env", *(f"{key}={value}" for key, value in environment.items()), *command(*track)],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        while len(logged(client)) < 3:
            assert driver.poll() is None
            time.sleep(0.01)
        kill()
        output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0
    assert "the next run logs what is missing" in output
    with mlflow_server(tmp_path, port):
        assert "next run" not in raysweep(*track, **environment)
        runs = logged(client)
        ids = [run.data.tags["raysweep.id"] for run in runs]
        assert len(ids) == len(set(ids)) == 1 + 6 + 4  # the sweep, its trials, groups x methods
        trials = [run for run in runs if "test_loss" in run.data.metrics]
        assert len(trials) == 6
        for run in trials:
            steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "test_loss")]
            assert steps == sorted(set(steps))
            assert len(steps) == 3  # epochs 0, 1, 2
        assert all(run.info.status == "FINISHED" for run in runs)


def test_a_server_that_never_answers(track):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        output = raysweep(*track, MLFLOW_TRACKING_URI=uri)
    assert "the next run logs what is missing" in output
