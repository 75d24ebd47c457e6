"""A sweep in object storage: a real S3 server on loopback."""

import subprocess
import time

import pytest

from analysis import claims
from raysweep.store.files import Files
from tests.faults import REQUESTS_TO_STORAGE
from tests.inside import here
from tests.machine import running_ray
from tests.store.faulty import Faults, faulty_storage
from tests.test_run import PROJECT, command, logs, same, tables

pytestmark = pytest.mark.slow


def test_tables_and_figures_are_those_of_a_directory(session, tiny, undisturbed):
    root = "s3://bucket/runs"
    output = here("run", tiny, "--root", root, "--set", "analyses=[width_scaling]")
    assert f"tables and figures: {root}/sweeps/tiny" in output
    (log,) = logs(root)
    assert log.startswith("20")
    assert "alignments: 6 to do" in log
    assert same(tables(root), tables(undisturbed))
    names = Files(root).list("")
    assert "sweeps/tiny/figures/width_scaling_mlp_digits.png" in names
    assert not [name for name in names if name.startswith("tmp/") or name.endswith(("resume", "starts"))]
    assert "training:" not in here("run", tiny, "--root", root)
    assert "trials 6/6, alignments 6/6, barriers 24/24, failures 0" in here("status", root)
    assert "0 problems" in here("verify", root)
    assert "mlp on digits" in analyse_root(root)
    assert f"page: {root}/claims.html" in claims.analyse(root)
    assert b"width scaling of mlp_digits" in Files(root).get("claims.html")


def analyse_root(root):
    done = subprocess.run(
        [command()[0], "-m", "analysis.width_scaling", root, "--sweep", "tiny"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_killed_driver_goes_on_as_two_at_once_in_storage_that_fails_now_and_then(
    storage, tiny, undisturbed
):
    """One request in ten is answered by 503, cut in mid-upload, or cut in mid-answer.

    Object storage has no locks: both of the later drivers work, and neither harms the other.
    """
    root, faults = "s3://bucket/faulty", Faults(["unavailable", "drop", "truncate"], chance=0.1)
    with faulty_storage(faults), running_ray({}) as address:  # whose processes meet the faults, too
        driver = started(tiny, root, address)
        while not [name for name in Files(root).list("trials") if name.endswith("done")]:
            assert driver.poll() is None
            time.sleep(0.05)
        driver.kill()
        driver.communicate()
        driver = started(tiny, root, address)
        while len(Files(root).list("logs")) < 2:  # so that this process begins while the other one works
            assert driver.poll() is None
            time.sleep(0.05)
        here("run", tiny, "--root", root, "--address", address)
        output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0, output
    assert faults.injected >= REQUESTS_TO_STORAGE
    assert same(tables(root), tables(undisturbed))
    assert not [name for name in Files(root).list("trials") if name.endswith(("resume", "starts"))]


def started(sweep, root, address):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command("run", sweep, "--root", root, "--address", address), cwd=PROJECT, **pipes)


def test_tracking_needs_a_server_there(storage, tiny):
    output = here("run", tiny, "--root", "s3://bucket/x", "--set", "tracking.enabled=true", code=2)
    assert "set MLFLOW_TRACKING_URI to a tracking server" in output
