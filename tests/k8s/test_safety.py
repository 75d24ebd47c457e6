"""What makes the manifests safe by default, in every overlay and combination of components."""

import re

import pytest

from tests.k8s.manifests import BUILDS, OVERLAYS, cluster_spec, containers, only, overlay, pods

WRITTEN_BY_RAY = ("/tmp/ray", "/dev/shm")
OPERATOR = "kuberay-system"
SECRET_WORDS = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY", re.I)


@pytest.mark.parametrize("name", BUILDS)
def test_no_container_has_privileges(name):
    for where, (container, pod) in containers(overlay(name)).items():
        own, shared = container["securityContext"], pod["securityContext"]
        assert shared["runAsNonRoot"] is True, where
        assert shared["runAsUser"] > 0, where
        assert shared["seccompProfile"] == {"type": "RuntimeDefault"}, where
        assert own["allowPrivilegeEscalation"] is False, where
        assert own["capabilities"] == {"drop": ["ALL"]}, where
        assert own["readOnlyRootFilesystem"] is True, where
        assert not own.get("privileged"), where
        for forbidden in ("hostNetwork", "hostPID", "hostIPC"):
            assert not pod.get(forbidden), where
        assert not any("hostPath" in volume for volume in pod.get("volumes", [])), where
    levels = only(overlay(name), "Namespace")["metadata"]["labels"]
    assert levels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", BUILDS)
def test_every_container_has_requests_and_limits(name):
    for where, (container, _) in containers(overlay(name)).items():
        for kind in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(container["resources"][kind]), (where, kind)


@pytest.mark.parametrize("name", BUILDS)
def test_images_have_versions(name):
    for where, (container, _) in containers(overlay(name)).items():
        if "autoscaler" not in where:  # the operator gives it the head's image
            _, _, tag = container["image"].rpartition(":")
            assert re.search(r"\d+\.\d+", tag), where
            assert tag != "latest", where


@pytest.mark.parametrize("name", BUILDS)
def test_ray_writes_to_volumes_that_are_empty_at_first(name):
    for where, pod in pods(overlay(name)).items():
        empty = {volume["name"] for volume in pod["spec"].get("volumes", []) if "emptyDir" in volume}
        sizes = [
            each["emptyDir"]["sizeLimit"] for each in pod["spec"].get("volumes", []) if "emptyDir" in each
        ]
        assert all(sizes), where
        mounts = {
            mount["mountPath"]: mount["name"]
            for container in pod["spec"]["containers"]
            for mount in container["volumeMounts"]
        }
        assert mounts["/tmp"] in empty, where
        if re.search("head|cpu|gpu", where):
            assert {mounts[path] for path in WRITTEN_BY_RAY} <= empty, where


@pytest.mark.parametrize("name", BUILDS)
def test_only_the_head_may_talk_to_the_api_server(name):
    """Its service account, which the operator makes, is the autoscaler's."""
    for where, pod in pods(overlay(name)).items():
        assert where.endswith("head") or pod["spec"]["automountServiceAccountToken"] is False, where


@pytest.mark.parametrize("name", BUILDS)
def test_credentials_come_from_secrets_only(name):
    for thing in overlay(name):
        assert thing["kind"] not in ("Secret", "ConfigMap")
    for where, (container, _) in containers(overlay(name)).items():
        for variable in container.get("env", []):
            if SECRET_WORDS.search(variable["name"]):
                assert "secretKeyRef" in variable["valueFrom"], where
            else:
                assert not re.search(r"://[^/]*:(?!\$\()[^/]*@", variable.get("value", "")), where
        words = " ".join([*container.get("command", []), *container.get("args", [])])
        assert not SECRET_WORDS.search(words), where  # arguments can be read in a list of processes


def policies(name):
    return [each["spec"] for each in overlay(name) if each["kind"] == "NetworkPolicy"]


def selects(selector, labels):
    return selector.get("matchLabels", {}).items() <= labels.items()


HOME = {"kubernetes.io/metadata.name": "raysweep"}
ABROAD = {"kubernetes.io/metadata.name": "elsewhere"}
OPERATORS = {"kubernetes.io/metadata.name": OPERATOR}
HEAD = {"ray.io/is-ray-node": "yes", "ray.io/node-type": "head"}
WORKER = {"ray.io/is-ray-node": "yes", "ray.io/node-type": "worker"}
MLFLOW = {"app.kubernetes.io/name": "mlflow"}
POSTGRES = {"app.kubernetes.io/name": "postgres"}
SUBMITTER = {"app.kubernetes.io/component": "submitter"}
ANY = {}


def reaches(source, namespace, target, port, name="cpu"):
    """Whether network policies let a pod of a namespace reach a port of a pod in ours."""
    applying = [each for each in policies(name) if selects(each["podSelector"], target)]
    assert applying, "a pod to which no policy applies is open to all"
    for policy in applying:
        for rule in policy.get("ingress", []):
            ports = [each["port"] for each in rule.get("ports", [])]
            for peer in rule["from"]:
                there = (
                    selects(peer["namespaceSelector"], namespace)
                    if "namespaceSelector" in peer
                    else namespace == HOME
                )
                if there and selects(peer.get("podSelector", {}), source) and (not ports or port in ports):
                    return True
    return False


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_overlay_has_the_same_network_policies(name):
    assert policies(name) == policies("cpu")


@pytest.mark.parametrize(
    ("source", "namespace", "target", "port", "open_"),
    [
        (ANY, ABROAD, HEAD, 8265, False),
        (ANY, ABROAD, HEAD, 6379, False),
        (WORKER, ABROAD, HEAD, 6379, False),
        (ANY, OPERATORS, HEAD, 8265, True),
        (ANY, OPERATORS, HEAD, 6379, False),
        (ANY, OPERATORS, WORKER, 8265, False),
        (ANY, HOME, HEAD, 8265, False),
        (ANY, HOME, HEAD, 6379, False),
        (MLFLOW, HOME, HEAD, 8265, False),
        (SUBMITTER, HOME, HEAD, 8265, True),
        (SUBMITTER, HOME, HEAD, 6379, False),
        (SUBMITTER, ABROAD, HEAD, 8265, False),
        (WORKER, HOME, HEAD, 6379, True),
        (HEAD, HOME, WORKER, 10002, True),
        (WORKER, HOME, WORKER, 10002, True),
        (HEAD, HOME, MLFLOW, 5000, True),
        (ANY, ABROAD, MLFLOW, 5000, False),
        (ANY, OPERATORS, MLFLOW, 5000, False),
        (MLFLOW, HOME, POSTGRES, 5432, True),
        (HEAD, HOME, POSTGRES, 5432, False),
        (ANY, ABROAD, POSTGRES, 5432, False),
    ],
)
def test_who_reaches_whom(source, namespace, target, port, open_):
    assert reaches(source, namespace, target, port) is open_


def test_components_open_what_they_need_and_no_more():
    backup = pods(overlay("volume-and-roles"))["CronJob mlflow-backup"]["metadata"]["labels"]
    monitors = {"kubernetes.io/metadata.name": "monitoring"}
    for build in ("cpu", "volume-and-roles"):
        assert reaches(backup, HOME, POSTGRES, 5432, build) is (build != "cpu")
        assert reaches(ANY, monitors, HEAD, 8080, build) is (build != "cpu")
        assert not reaches(ANY, monitors, HEAD, 8265, build)
        assert not reaches(ANY, ABROAD, WORKER, 8080, build)
        assert not reaches(backup, HOME, MLFLOW, 5432, build)


def test_policies_name_the_labels_that_our_pods_have():
    built = overlay("cpu")
    assert only(built, "RayJob")["spec"]["submitterPodTemplate"]["metadata"]["labels"] == SUBMITTER
    assert only(built, "Deployment")["spec"]["template"]["metadata"]["labels"] == MLFLOW
    assert only(built, "StatefulSet")["spec"]["template"]["metadata"]["labels"] == POSTGRES


@pytest.mark.parametrize("name", OVERLAYS)
def test_mlflow_answers_to_its_own_names_only(name):
    (server,) = only(overlay(name), "Deployment")["spec"]["template"]["spec"]["containers"]
    options = dict(each.removeprefix("--").split("=", 1) for each in server["args"])
    hosts = options["allowed-hosts"].split(",")
    assert "*" not in options["allowed-hosts"]
    (ray,) = [each for each in overlay(name) if each["kind"] in ("RayCluster", "RayJob")]
    (head,) = cluster_spec(ray)["headGroupSpec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in head["env"]}
    assert environment["MLFLOW_TRACKING_URI"].removeprefix("http://") in hosts
