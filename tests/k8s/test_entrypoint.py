"""The RayJob's entrypoint with its environment, for real: killed once, and retried as the operator does.

So is its submitter, which must follow the job again and not start it twice.
"""

import contextlib
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
SMALL += "--set compare.alphas=5 --set compare.subdivisions=6 --set resources.workers=1"
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
    """A job, sent and followed as the operator's submitter does (KubeRay v1.7, K8sJobMode).

    A submitter submits a job that the head does not know, and then follows its log.
    """

    def __init__(self, address, name, start=True):
        self._jobs, self._name = f"{address}/api/jobs/", name
        ray, at = f"{Path(sys.executable).parent / 'ray'} job", f"--address {address}"
        submit = f"{ray} submit {at} --no-wait --submission-id {name} -- {ENTRYPOINT} {SMALL}"
        known = f"{ray} status {at} {name} >/dev/null 2>&1"
        self._shell = ["bash", "-ce", f"if ! {known}; then {submit}; fi; {ray} logs {at} --follow {name}"]
        self._environment = {**os.environ, "RAY_ADDRESS": address, "RAY_AUTH_MODE": "token"}
        if start:
            self._submit()

    def _submit(self):
        deadline = time.monotonic() + 120
        self.start_submitter()
        while not self.known:  # a submitter that comes too early ends, and Kubernetes starts the next one
            if self.submitter.poll() is not None:
                self.start_submitter()
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def start_submitter(self):
        """Start a submitter, in the place of one that has ended."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
        self.submitter = subprocess.Popen(self._shell, env=self._environment, **quiet)

    def replace_submitter(self):
        """Kill the submitter, as a node that is drained does, and start the next one."""
        os.killpg(self.submitter.pid, signal.SIGKILL)
        self.submitter.wait()
        self.start_submitter()

    def _get(self, path):
        request = Request(f"{self._jobs}{path}", headers={"Authorization": f"Bearer {TOKEN}"})
        return json.load(urlopen(request, timeout=60))

    def _ask(self, what=""):
        return self._get(f"{self._name}{what}")

    @property
    def known(self):
        with contextlib.suppress(HTTPError):
            return bool(self._ask())
        return False

    def probed(self):
        """Whether the submitter's liveness probe finds the job."""
        told = {"RAY_DASHBOARD_ADDRESS": self._jobs.split("/")[2], "RAY_JOB_SUBMISSION_ID": self._name}
        (submitter,) = JOB["spec"]["submitterPodTemplate"]["spec"]["containers"]
        command = submitter["livenessProbe"]["exec"]["command"]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return not subprocess.run(command, env={**self._environment, **told, "PATH": path}).returncode

    def submissions(self):
        """How many jobs were submitted to the head."""
        return sum(each["type"] == "SUBMISSION" for each in self._get(""))

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
        job = Submitted(address, "sweep")
        job.replace_submitter()
        while not [name for name in files.list("trials") if name.endswith("/done")]:
            assert not job.over, job.end()
            time.sleep(0.1)
        assert job.submitter.poll() is None  # it follows the job
        assert job.probed()
        os.kill(job.driver(), signal.SIGKILL)
        assert job.end()[0] == "FAILED"
        assert job.submitter.wait(60) == 0  # so the operator goes by the job's status alone
        assert job.submissions() == 1
    with ray_head(**head) as address:  # which does not know the job, and so gets it again
        job = Submitted(address, "sweep")
        assert not Submitted(address, "another", start=False).probed()
        status, output = job.end()
        assert status == "SUCCEEDED", output
        assert job.submitter.wait(60) == 0
        assert job.submissions() == 1
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
