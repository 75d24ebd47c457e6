"""The manifests of k8s/ as kubectl builds them, and the pods that come of them."""

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import yaml

PROJECT = Path(__file__).parent.parent.parent
K8S = PROJECT / "k8s"
OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir())
# What users put together from the components, in an order that README.md allows; together all of them.
COMBINATIONS = {
    "eks": "gpu workload-identity pull-secret priority monitoring logs job registry",
    "queued": "gpu shared-volume kueue mlflow-backup logs pull-secret job postgres-mirror registry",
    "own-mlflow": "storage-secret existing-mlflow pull-secret priority logs cluster registry",
    "volume-and-roles": "shared-volume workload-identity mlflow-backup monitoring job registry",
}
BUILDS = [*OVERLAYS, *COMBINATIONS]
KUBECTL = shutil.which("kubectl", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def build(folder):
    """Every object of a kustomization."""
    assert KUBECTL, "the tests' dependencies bring kubectl"
    built = subprocess.run([KUBECTL, "kustomize", str(folder)], capture_output=True, text=True, timeout=60)
    assert built.returncode == 0, built.stderr
    return list(yaml.load_all(built.stdout, yaml.CSafeLoader))


@cache
def overlay(name):
    """Every object of an overlay or a combination; not to be changed."""
    return combined(COMBINATIONS[name].split()) if name in COMBINATIONS else build(K8S / "overlays" / name)


def combined(components):
    """Every object of the base with these components."""
    with tempfile.TemporaryDirectory() as folder:
        k8s = Path(os.path.relpath(K8S, os.path.realpath(folder)))
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [str(k8s / "base")],
            "components": [str(k8s / "components" / each) for each in components],
        }
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return build(folder)


def only(objects, kind):
    """The only object of a kind."""
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


def cluster_spec(thing):
    """The spec of a RayCluster, or of the cluster that a RayJob starts."""
    return thing["spec"] if thing["kind"] == "RayCluster" else thing["spec"]["rayClusterSpec"]


def ray_resource(name):
    """The only RayJob or RayCluster of an overlay or a combination."""
    (found,) = [each for each in overlay(name) if each["kind"] in ("RayCluster", "RayJob")]
    return found


def groups(thing):
    """The head's and the workers' groups of a Ray resource."""
    spec = cluster_spec(thing)
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


def pods(objects):
    """The spec of every pod that the objects ask for, by a name."""
    found = {}
    for thing in objects:
        kind, name = thing["kind"], thing["metadata"]["name"]
        if kind in ("Deployment", "StatefulSet"):
            found[f"{kind} {name}"] = thing["spec"]["template"]
        if kind == "CronJob":
            found[f"{kind} {name}"] = thing["spec"]["jobTemplate"]["spec"]["template"]
        if kind in ("RayCluster", "RayJob"):
            for group in groups(thing):
                found[f"{kind} {name} {group.get('groupName', 'head')}"] = group["template"]
        if kind == "RayJob":
            found[f"{kind} {name} submitter"] = thing["spec"]["submitterPodTemplate"]
    return found


def containers(objects):
    """Every container with the pod that it is in, by a name.

    The autoscaler's comes from the operator, with the options that are given here.
    """
    found = {}
    for name, pod in pods(objects).items():
        for container in pod["spec"]["containers"]:
            found[f"{name} {container['name']}"] = (container, pod["spec"])
    for thing in objects:
        if thing["kind"] in ("RayCluster", "RayJob") and "autoscalerOptions" in cluster_spec(thing):
            options, head = cluster_spec(thing)["autoscalerOptions"], groups(thing)[0]["template"]["spec"]
            found[f"{thing['kind']} autoscaler"] = (options, head)
    return found
