"""A tracking server that never answers does not hold up the work."""

import contextlib
import socket
import threading

import yaml

from raysweep.tracking import tracker
from tests.cluster import poison
from tests.inside import carried_out, here
from tests.test_run import same, tables

SWEEP = {
    "name": "tiny",
    "train": {
        "dataset": "digits",
        "model": "tests.cluster.poison:net",
        "width": 3,
        "epochs": 1,
        "batch_size": 256,
        "replicates": 2,
    },
    "compare": {"splits": ["test"], "alphas": 3},
    "resources": {"workers": 1},
    "analyses": [],
}


def test_a_server_that_hangs_from_the_beginning(session, monkeypatch, tmp_path):
    """No trial begins before the tracker hangs, so all work is done meanwhile; `run` waits for the tracker
    only in the end, and not for long."""
    path, root, asked = tmp_path / "tiny.yaml", tmp_path / "root", tmp_path / "asked"
    path.write_text(yaml.safe_dump(SWEEP))
    monkeypatch.setattr(tracker, "PATIENCE", 0.5)
    poison.switch("ResourceTrainable", 3, f"until 1 {asked}")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        held = []

        def listen():
            with contextlib.suppress(OSError):  # the socket is closed in the end
                while True:
                    held.append(silent.accept())
                    asked.touch()

        threading.Thread(target=listen, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "300")
        output = here("run", path, "--root", root)
        assert len(held) == 1  # it has asked once, and still waits
        for connection, _ in held:
            connection.close()
    assert "does not answer; the next run logs what is missing" in output
    assert same(tables(root), tables(carried_out(path, tmp_path / "calm")))
