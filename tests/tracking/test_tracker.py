"""What is not logged is never taken for logged."""

from types import SimpleNamespace

import pytest

from raysweep.store.files import Files
from raysweep.tracking import Tracker

pytestmark = [pytest.mark.slow, pytest.mark.versions]


@pytest.mark.parametrize("uri", ["sqlite:///{}/mlflow.db", "no_such_scheme://{}"])
def test_any_failure_is_said_and_tried_again(tmp_path, monkeypatch, uri):
    """Here the tables are missing, or there is no such kind of store."""
    monkeypatch.chdir(tmp_path)  # old versions of MLflow take an unknown scheme for a folder
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(tmp_path))
    folder = tmp_path / "sweeps" / "tiny"
    folder.mkdir(parents=True)
    (folder / "sweep.yaml").write_text("name: tiny")
    tracker = Tracker(Files(str(tmp_path)), SimpleNamespace(name="tiny"))
    assert "the next run logs what is missing" in tracker.finish(folder)
    assert not (folder / "tracking.json").exists()
