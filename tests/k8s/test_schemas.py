"""Every overlay builds, and is what the API server, KubeRay's operator and Kueue take."""

import copy

import kubernetes_validate
import pytest

from tests.k8s.crds import faults, strict
from tests.k8s.manifests import BUILDS, OVERLAYS, cluster_spec, only, overlay, ray_resource
from tests.k8s.rules import QUEUE, broken

RAY = ("RayCluster", "RayJob")


@pytest.mark.parametrize("name", BUILDS)
def test_what_is_built_is_valid(name):
    for thing in overlay(name):
        if thing["kind"] in RAY:
            assert faults(thing) == []
            assert broken(thing) == []
        elif thing["kind"] != "PodMonitor":  # Prometheus's, whose definition is not here
            kubernetes_validate.validate(thing, "1.33", strict=True)


def test_the_overlays_are_those_of_the_issue():
    assert {"cpu", "gpu", "kueue"} <= set(OVERLAYS)
    for name in OVERLAYS:
        kinds = {each["kind"] for each in overlay(name)}
        assert {"Namespace", "NetworkPolicy", "Deployment", "StatefulSet", "PersistentVolumeClaim"} <= kinds
        assert len(kinds & set(RAY)) == 1
        assert all(
            each["metadata"].get("namespace") == "raysweep"
            for each in overlay(name)
            if each["kind"] != "Namespace"
        )


def test_gpu_workers_start_from_none():
    for name in ("gpu", "cluster-gpu"):
        spec = cluster_spec(ray_resource(name))
        (group,) = [each for each in spec["workerGroupSpecs"] if each["groupName"] == "gpu"]
        assert spec["enableInTreeAutoscaling"]
        assert group["minReplicas"] == 0
        pod = group["template"]["spec"]
        assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"


def test_the_queue_is_a_label():
    assert only(overlay("kueue"), "RayJob")["metadata"]["labels"] == {QUEUE: "raysweep"}


def test_a_job_brings_the_shared_clusters_spec():
    for job, cluster in (("cpu", "cluster"), ("gpu", "cluster-gpu")):
        assert cluster_spec(ray_resource(job)) == cluster_spec(ray_resource(cluster))


def changed(thing, path, value):
    """A copy with another value at a path (None: without it)."""
    copied = copy.deepcopy(thing)
    *parents, last = path
    place = copied
    for key in parents:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return copied


HEAD = ("rayClusterSpec", "headGroupSpec", "template", "spec")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("shutdownAfterJobFinish",), True),
        (("rayClusterSpec", "enableInTreeAutoScaling"), True),
        ((*HEAD, "containers", 0, "securityContext", "runAsNonroot"), True),
        (("rayClusterSpec", "autoscalerOptions", "idleTimeout"), 60),
        (("rayClusterSpec", "authOptions", "mode"), "tokens"),
        ((*HEAD, "containers", 0, "resources", "limits", "cpu"), "two"),
        (("backoffLimit",), "3"),
        (("rayClusterSpec", "headGroupSpec"), None),
    ],
)
def test_a_typo_is_caught(path, value):
    assert faults(changed(ray_resource("cpu"), ("spec", *path), value))


def test_a_typo_in_a_core_resource_is_caught():
    typo = changed(only(overlay("cpu"), "Deployment"), ("spec", "template", "spec", "containerz"), [])
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(typo, "1.33", strict=True)


def test_fields_are_open_only_where_the_definition_says_so():
    closed = strict({"type": "object", "properties": {"a": {"type": "string", "nullable": True}}})
    assert closed["additionalProperties"] is False
    assert closed["properties"]["a"]["type"] == ["string", "null"]
    kept = strict({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    assert "additionalProperties" not in kept


SELECTED = {"ray.io/cluster": "raysweep"}
RULE = {"policy": "DeleteCluster", "condition": {"jobStatus": "SUCCEEDED"}}
GROUP = ("spec", "rayClusterSpec", "workerGroupSpecs", 0)
SUBMITTER = ("spec", "submitterPodTemplate", "spec", "containers", 0)
BREACHES = [  # what breaks a rule of the job on CPUs, and what is said
    ({("metadata", "name"): "s" * 48}, "48 characters"),
    ({("metadata", "name"): "Sweep"}, "no DNS label"),
    ({("spec", "deletionStrategy"): {"deletionRules": [RULE]}}, "deletionRules and shutdownAfterJobFinishes"),
    ({("spec", "shutdownAfterJobFinishes"): False}, "ttlSecondsAfterFinished needs"),
    ({("spec", "shutdownAfterJobFinishes"): False, ("spec", "suspend"): True}, "suspend needs"),
    ({("spec", "suspend"): False}, "suspend belongs to Kueue"),
    ({("spec", "submitterConfig"): None}, "submitterConfig.backoffLimit"),
    ({(*SUBMITTER, "livenessProbe"): None}, "the submitter must have a livenessProbe"),
    ({("spec", *HEAD[:-1], "metadata"): None}, "the head may be moved: no karpenter.sh/do-not-disrupt"),
    ({("spec", *HEAD, "tolerations"): []}, "must not tolerate node.kubernetes.io/unreachable"),
    ({("spec", *HEAD, "tolerations", 0, "tolerationSeconds"): 300}, "node.kubernetes.io/not-ready"),
    ({("spec", *HEAD, "affinity"): {}}, "spot node (eks.amazonaws.com/capacityType)"),
    ({("spec", "clusterSelector"): SELECTED, ("spec", "suspend"): True}, "suspend and clusterSelector"),
    ({("spec", "clusterSelector"): SELECTED}, "backoffLimit and clusterSelector"),
    ({("spec", "submissionMode"): "InteractiveMode"}, "backoffLimit and InteractiveMode"),
    ({("spec", "entrypoint"): "python train.py"}, "new cluster for each retry"),
    ({("spec", "submissionMode"): "SidecarMode"}, "SidecarMode and submitterPodTemplate"),
    ({(*GROUP, "minReplicas"): None}, "minReplicas and maxReplicas must be given"),
    ({(*GROUP, "maxReplicas"): None}, "minReplicas and maxReplicas must be given"),
    ({(*GROUP, "replicas"): 9}, "replicas lie outside"),
    ({(*GROUP, "replicas"): 1}, "belong to the autoscaler"),
    ({(*GROUP, "suspend"): True}, "cannot be suspended"),
    ({(*GROUP, "template", "spec", "restartPolicy"): "Always"}, "must be Never"),
    ({("spec", "rayClusterSpec", "enableInTreeAutoscaling"): False}, "autoscalerOptions without"),
    ({("spec", "rayClusterSpec", "authOptions"): {"mode": "disabled"}}, "must be token"),
    ({("spec", "rayClusterSpec", "rayVersion"): "2.51.0"}, "2.52 or newer"),
    ({("spec", "rayClusterSpec", "rayVersion"): None}, "2.52 or newer"),
    ({("spec", "rayClusterSpec", "networkPolicy"): {}}, "feature gate"),
    ({("spec", "rayClusterSpec", "headGroupSpec", "rayStartParams"): {}}, "num-cpus 0"),
    ({("spec", "entrypoint"): "raysweep run sweeps/quickstart.yaml --rot x"}, "--rot"),
    ({("spec", "entrypoint"): "raysweep runs sweeps/quickstart.yaml"}, "runs"),
    ({("spec", "entrypoint"): "raysweep plan sweeps/quickstart.yaml"}, "is no run"),
    ({("spec", "entrypoint"): "raysweep run a.yaml --root $ROOT --address auto"}, "shells"),
    ({("spec", "entrypoint"): "raysweep run a.yaml --root /r"}, "without --address auto"),
    ({("spec", "entrypoint"): "raysweep run a.yaml --address auto"}, "lost with the head"),
]


def test_the_job_without_autoscaling_needs_replicas_too():
    thing = only(overlay("kueue"), "RayJob")
    (breach,) = broken(changed(thing, (*GROUP, "maxReplicas"), None))
    assert "maxReplicas must be given" in breach


@pytest.mark.parametrize(("changes", "words"), BREACHES)
def test_a_breach_of_a_rule_is_named(changes, words):
    thing = only(overlay("cpu"), "RayJob")
    for path, value in changes.items():
        thing = changed(thing, path, value)
    assert any(words in breach for breach in broken(thing)), broken(thing)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("spec", "suspend"), True, "suspend belongs to Kueue"),
        (("spec", "shutdownAfterJobFinishes"), False, "must have shutdownAfterJobFinishes"),
        ((*GROUP, "replicas"), None, "a fixed size needs replicas"),
        (("spec", "rayClusterSpec", "enableInTreeAutoscaling"), True, "must not scale itself"),
        (("spec", "clusterSelector"), SELECTED, "bring its own cluster"),
        (("spec", "rayClusterSpec", "workerGroupSpecs"), "seven", "six groups"),
    ],
)
def test_a_breach_of_a_queues_rule_is_named(path, value, words):
    thing = only(overlay("kueue"), "RayJob")
    if value == "seven":
        value = cluster_spec(thing)["workerGroupSpecs"] * 7
    assert any(words in breach for breach in broken(changed(thing, path, value)))


def test_a_long_name_of_a_cluster_is_named():
    thing = only(overlay("cluster"), "RayCluster")
    assert broken(changed(thing, ("metadata", "name"), "c" * 53)) == []
    assert "54 characters" in broken(changed(thing, ("metadata", "name"), "c" * 54))[0]
