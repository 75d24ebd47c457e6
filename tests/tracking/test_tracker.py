"""What is not logged is never taken for logged."""

import multiprocessing
import queue
from concurrent.futures import ProcessPoolExecutor
from types import SimpleNamespace

import pytest

from raysweep.store.files import Files
from raysweep.tracking import Tracker
from raysweep.tracking.address import database_uri
from tests.tracking.servers import client_of

pytestmark = [pytest.mark.slow, pytest.mark.versions]


def told(root, name, together=None):
    """Log a sweep without tables; returns what the user is told."""
    folder = root / "sweeps" / name
    folder.mkdir(parents=True)
    (folder / "sweep.yaml").write_text(f"name: {name}")
    tracker = Tracker(Files(str(root)), SimpleNamespace(name=name))
    if together:
        import mlflow  # which takes longer in one process than in another

        assert mlflow
        together.wait()
    said = tracker.finish(folder)
    assert not (folder / "tracking.json").exists()
    return said


@pytest.mark.parametrize("uri", ["sqlite:///{}/mlflow.db", "no_such_scheme://{}"])
def test_any_failure_is_said_and_tried_again(tmp_path, monkeypatch, uri):
    """Here the tables are missing, or there is no such kind of store."""
    monkeypatch.chdir(tmp_path)  # old versions of MLflow take an unknown scheme for a folder
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(tmp_path))
    assert "the next run logs what is missing" in told(tmp_path, "tiny")


def test_an_address_that_does_not_work_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    warned = queue.Queue()
    Tracker(Files(str(tmp_path)), SimpleNamespace(name="tiny"), warned.put).prepare()
    assert "http://127.0.0.1:9 cannot be logged to (" in warned.get(timeout=60)


def test_the_first_runs_under_a_root_may_start_at_once(tmp_path, monkeypatch):
    """They make one new database, which takes seconds; what is missing afterwards are the tables alone."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    spawned = multiprocessing.get_context("spawn")
    with spawned.Manager() as manager, ProcessPoolExecutor(2, spawned) as pool:
        together = manager.Barrier(2, timeout=120)
        for said in pool.map(told, [tmp_path] * 2, ["one", "other"], [together] * 2):
            assert "is not up to date (FileNotFoundError" in said
    experiments = client_of(database_uri(tmp_path / "mlflow.db")).search_experiments()
    assert {each.name.partition(" ")[0] for each in experiments} == {"Default", "one", "other"}
