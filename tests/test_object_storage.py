"""A sweep in object storage: a real S3 server on loopback."""

import os
import signal
import subprocess
import time

import pytest

from analysis import claims
from raysweep.store.files import Files
from tests.store.faulty import Faults, faulty_storage
from tests.store.servers import s3_server
from tests.test_run import (  # noqa: F401  (fixtures)
    PROJECT,
    command,
    logs,
    raysweep,
    same,
    tables,
    tiny,
    undisturbed,
)


@pytest.fixture
def storage():
    with s3_server():
        yield


def test_tables_and_figures_are_those_of_a_directory(storage, tiny, undisturbed):  # noqa: F811
    root = "s3://bucket/runs"
    output = raysweep("run", tiny, "--root", root, "--set", "analyses=[width_scaling]")
    assert f"figures: {root}/sweeps/tiny/figures" in output
    (log,) = logs(root)
    assert log.startswith("20")
    assert "alignments: 6 to do" in log
    assert same(tables(root), tables(undisturbed))
    names = Files(root).list("")
    assert "sweeps/tiny/figures/width_scaling_mlp_digits.png" in names
    assert not [name for name in names if name.startswith("tmp/") or name.endswith(("resume", "starts"))]
    assert "training:" not in raysweep("run", tiny, "--root", root)
    assert "trials 6/6, alignments 6/6, barriers 24/24, failures 0" in raysweep("status", root)
    assert "0 problems" in raysweep("verify", root)
    assert "mlp on digits" in raysweep_analysis(root)
    assert f"page: {root}/claims.html" in claims.analyse(root)
    assert b"width scaling of mlp_digits" in Files(root).get("claims.html")


def raysweep_analysis(root):
    done = subprocess.run(
        [command()[0], "-m", "analysis.width_scaling", root, "--sweep", "tiny"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_killed_driver_goes_on(storage, tiny, undisturbed):  # noqa: F811
    root = "s3://bucket/killed"
    driver = subprocess.Popen(command("run", tiny, "--root", root), cwd=PROJECT, stdout=subprocess.DEVNULL)
    while not [name for name in Files(root).list("trials") if name.endswith("done")]:
        assert driver.poll() is None
        time.sleep(0.05)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    raysweep("run", tiny, "--root", root)
    assert same(tables(root), tables(undisturbed))


def test_storage_that_fails_now_and_then_gives_the_same_tables(storage, tiny, undisturbed):  # noqa: F811
    """One request in ten is answered by 503, cut in mid-upload, or cut in mid-answer."""
    faults = Faults(["unavailable", "drop", "truncate"], chance=0.1)
    with faulty_storage(faults):
        raysweep("run", tiny, "--root", "s3://bucket/faulty")
    assert faults.injected > 30
    assert same(tables("s3://bucket/faulty"), tables(undisturbed))


def test_two_drivers_at_once_give_the_tables_of_one(storage, tiny, undisturbed):  # noqa: F811
    """Object storage has no locks: both work, and neither harms the other."""
    root = "s3://bucket/both"
    drivers = [
        subprocess.Popen(command("run", tiny, "--root", root), cwd=PROJECT, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [driver.wait(300) for driver in drivers] == [0, 0]
    assert same(tables(root), tables(undisturbed))
    assert not [name for name in Files(root).list("trials") if name.endswith(("resume", "starts"))]


def test_tracking_needs_a_server_there(storage, tiny):  # noqa: F811
    output = raysweep("run", tiny, "--root", "s3://bucket/x", "--set", "tracking.enabled=true", code=2)
    assert "MLFLOW_TRACKING_URI" in output
