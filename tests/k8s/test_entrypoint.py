"""The RayJob's entrypoint with its environment, for real: killed once, and retried as the operator does."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from raysweep.store.files import Files
from tests.cluster.heads import TOKEN, ray_head
from tests.inside import carried_out
from tests.k8s.image import copied
from tests.k8s.manifests import K8S, PROJECT, cluster_spec, only, overlay
from tests.k8s.rules import parsed
from tests.store.servers import s3_server
from tests.test_run import logs, same, tables
from tests.tracking.servers import client_of, free_port, mlflow_server

pytestmark = pytest.mark.slow

SMALL = "--set train.width=8 --set train.epochs=8 --set train.replicates=4 "
SMALL += "--set compare.alphas=5 --set compare.subdivisions=6"
JOB = only(overlay("cpu"), "RayJob")
ENTRYPOINT = JOB["spec"]["entrypoint"]
ROOT = parsed(ENTRYPOINT)[1]["root"]
# As in the pod: nothing can be written but /tmp and /dev/shm.
READ_ONLY = 'mount --bind /tmp /tmp && mount -o remount,ro,bind / && ! touch /not-writable && exec "$@"'
IN_A_POD = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, "pod"]


@pytest.fixture
def workdir(tmp_path):
    """The image's working directory."""
    folder = tmp_path / "image"
    folder.mkdir()
    for path in copied():
        source = PROJECT / path
        (folder / source.name).symlink_to(source)
    return folder


@pytest.fixture
def storage():
    with s3_server(ROOT.removeprefix("s3://").split("/")[0]) as variables:
        yield variables


@pytest.fixture(scope="module")
def mlflow_address(tmp_path_factory):
    """An MLflow server with the Deployment's arguments, on another port and with its data elsewhere."""
    port, folder = free_port(), tmp_path_factory.mktemp("mlflow")
    (server,) = only(overlay("cpu"), "Deployment")["spec"]["template"]["spec"]["containers"]
    options = dict(
        each.removeprefix("--").replace(":5000", f":{port}").split("=", 1) for each in server["args"]
    )
    elsewhere = {"host": "127.0.0.1", "workers": 1, "artifacts-destination": folder / "artifacts"}
    del options["port"]
    with mlflow_server(folder, port, **{**options, **elsewhere}):
        yield f"localhost:{port}"


def environment(storage, mlflow_address):
    """The head's variables as in the manifest; those of the Secret and the service's name are replaced."""
    (head,) = cluster_spec(JOB)["headGroupSpec"]["template"]["spec"]["containers"]
    assert head["envFrom"] == [{"secretRef": {"name": "storage"}}]
    lines = (K8S / "storage.example.env").read_text().splitlines()
    secret = {line.split("=")[0] for line in lines if not line.startswith("#")}
    assert secret == set(storage)
    given = {each["name"]: each["value"].replace("mlflow:5000", mlflow_address) for each in head["env"]}
    return given | storage


class Submitted:
    """A job, sent as the operator's submitter does: the entrypoint goes through a shell."""

    def __init__(self, address, name):
        self._job = f"{address}/api/jobs/{name}"
        ray = Path(sys.executable).parent / "ray"
        options = f"--address {address} --submission-id {name} --no-wait"
        command = ["bash", "-ce", f"{ray} job submit {options} -- {ENTRYPOINT} {SMALL}"]
        environment = {**os.environ, "RAY_ADDRESS": address, "RAY_AUTH_MODE": "token"}  # the operator sets it
        deadline = time.monotonic() + 120
        while (sent := subprocess.run(command, env=environment, capture_output=True, text=True)).returncode:
            assert "No available agent" in sent.stderr, sent.stderr  # else the head is still starting
            assert time.monotonic() < deadline, sent.stderr

    def _ask(self, what=""):
        request = Request(f"{self._job}{what}", headers={"Authorization": f"Bearer {TOKEN}"})
        return json.load(urlopen(request, timeout=60))

    @property
    def over(self):
        return self._ask()["status"] in ("SUCCEEDED", "FAILED", "STOPPED")

    def driver(self):
        """The process that runs the entrypoint."""
        return int(self._ask()["driver_info"]["pid"])

    def end(self):
        """Wait for the end: the status, and what the job printed."""
        while not self.over:
            time.sleep(0.2)
        return self._ask()["status"], self._ask("/logs")["logs"]


def test_a_killed_job_goes_on_in_a_new_cluster(workdir, storage, mlflow_address, tmp_path):
    head = {"before": IN_A_POD, "cwd": workdir, "environment": environment(storage, mlflow_address)}
    files = Files(ROOT)
    with ray_head(**head) as address:
        job = Submitted(address, "first")
        while not [name for name in files.list("trials") if name.endswith("/done")]:
            assert not job.over, job.end()
            time.sleep(0.1)
        os.kill(job.driver(), signal.SIGKILL)
        assert job.end()[0] == "FAILED"
    with ray_head(**head) as address:
        status, output = Submitted(address, "second").end()
        assert status == "SUCCEEDED", output
    overrides = [word for word in shlex.split(SMALL) if word != "--set"]
    calm = carried_out(PROJECT / "sweeps/quickstart.yaml", tmp_path / "calm", overrides)
    assert same(tables(ROOT, "quickstart"), tables(calm, "quickstart"))
    first, second = logs(ROOT)
    assert re.search(r"trials +4 +0 +4\n", first)
    assert not first.endswith("the end\n")
    assert "training: 4 to do" not in second
    assert second.endswith("the end\n")
    assert f"http://{mlflow_address}/#/experiments/" in second
    tracked = client_of(f"http://{mlflow_address}")
    (experiment,) = [each for each in tracked.search_experiments() if each.name.startswith("quickstart (")]
    assert len(tracked.search_runs([experiment.experiment_id])) == 1 + 4 + 2


def test_mlflow_answers_to_no_other_name(mlflow_address):
    request = Request(f"http://{mlflow_address}/", headers={"Host": "elsewhere.example:5000"})
    with pytest.raises(HTTPError, match="403"):
        urlopen(request, timeout=60)
