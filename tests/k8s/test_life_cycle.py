"""What becomes of a job whose nodes and pods are lost, and whether its pods find room."""

import math
import re

import pytest
import yaml

from raysweep.sweep.load import load_sweep
from tests.k8s.manifests import (
    K8S,
    PROJECT,
    cluster_spec,
    containers,
    groups,
    only,
    overlay,
    pods,
    ray_resource,
)
from tests.k8s.rules import STAYS, parsed

# Seconds that pass until a head is there again, at worst: Kubernetes notices that a node is gone, its
# autoscaler starts another one, and that one pulls an image of 10 GB at 20 MB/s.
NOTICED, NODE, PULL = 50, 600, 500
DEFAULT = 300  # seconds without an answer after which the operator ends a job for good
UNITS = {"": 1, "m": 1e-3, "Mi": 2**20, "Gi": 2**30}


def amount(text):
    """A quantity of Kubernetes as a number."""
    number, unit = re.fullmatch(r"([0-9.]+)(m|Mi|Gi|)", str(text)).groups()
    return float(number) * UNITS[unit]


def requests(*those):
    """What containers request in sum."""
    found = {}
    for container in those:
        for kind, text in container["resources"]["requests"].items():
            found[kind] = found.get(kind, 0) + amount(text)
    return found


def test_a_lost_head_is_back_before_the_operator_gives_the_job_up():
    variables = yaml.safe_load((K8S / "operator-values.yaml").read_text())["env"]
    timeout = {each["name"]: each["value"] for each in variables}["RAYJOB_STATUS_CHECK_TIMEOUT_SECONDS"]
    assert isinstance(timeout, str), "the value of a variable is a text"
    head = cluster_spec(ray_resource("gpu"))["headGroupSpec"]["template"]["spec"]
    given_up = max(each["tolerationSeconds"] for each in head["tolerations"])
    worst = NOTICED + given_up + NODE + PULL
    assert DEFAULT < worst < int(timeout) / 2


@pytest.mark.parametrize("name", ["cpu", "cluster-gpu"])
def test_whoever_tidies_up_nodes_leaves_the_head_and_mlflow_where_they_are(name):
    thing = ray_resource(name)
    templates = [cluster_spec(thing)["headGroupSpec"]["template"]]
    templates += [only(overlay(name), kind)["spec"]["template"] for kind in ("Deployment", "StatefulSet")]
    for template in templates:
        assert template["metadata"]["annotations"].items() >= STAYS.items()


def test_a_node_of_four_processors_takes_a_head_or_a_worker():
    """It has 3.5 for pods and 13 GiB, beside what runs on every node."""
    found = containers(overlay("cpu"))
    head = [container for where, (container, _) in found.items() if "head" in where or "autoscaler" in where]
    worker = [container for where, (container, _) in found.items() if where.endswith("ray-worker")]
    for those in (head, worker):
        assert requests(*those)["cpu"] <= 3.5
        assert requests(*those)["memory"] <= 13 * 2**30


def gpu_worker():
    (worker,) = pods(overlay("gpu"))["RayJob sweep gpu"]["spec"]["containers"]
    return requests(worker)


def test_a_g5_2xlarge_takes_a_worker():
    assert gpu_worker()["cpu"] <= 7.5
    assert gpu_worker()["memory"] <= 27 * 2**30


def test_aligners_fill_a_gpu_and_one_fits_beside_a_trial():
    _, options = parsed(ray_resource("gpu")["spec"]["entrypoint"])
    (path,) = options["sweeps"]
    resources = load_sweep(str(PROJECT / path), options["override"]).sections.resources
    trial, align = resources.trial, resources.align
    count = math.floor(1 / align.gpu)
    assert count * align.gpu > 0.95
    assert count * align.cpu <= gpu_worker()["cpu"]
    assert trial.gpu + align.gpu <= 1
    assert trial.cpu + align.cpu <= gpu_worker()["cpu"]


def quota():
    queue = next(
        each
        for each in yaml.safe_load_all((K8S / "queue.yaml").read_text())
        if each["kind"] == "ClusterQueue"
    )
    (group,) = queue["spec"]["resourceGroups"]
    (flavor,) = group["flavors"]
    found = {each["name"]: amount(each["nominalQuota"]) for each in flavor["resources"]}
    assert set(found) == set(group["coveredResources"])
    return found


@pytest.mark.parametrize("name", ["kueue", "queued"])
def test_the_queue_has_room_for_all_that_a_jobs_pods_request(name):
    job = only(overlay(name), "RayJob")
    those = [*job["spec"]["submitterPodTemplate"]["spec"]["containers"]]
    for group in groups(job):
        those += group["template"]["spec"]["containers"] * group.get("replicas", 1)
    asked = requests(*those)
    assert set(asked) <= set(quota())
    for kind, needed in asked.items():
        assert needed <= quota()[kind], kind


def test_the_queue_is_the_one_that_jobs_name():
    queue = list(yaml.safe_load_all((K8S / "queue.yaml").read_text()))[-1]
    assert queue["kind"] == "LocalQueue"
    assert queue["metadata"]["namespace"] == only(overlay("kueue"), "Namespace")["metadata"]["name"]
    assert queue["metadata"]["name"] in only(overlay("kueue"), "RayJob")["metadata"]["labels"].values()
