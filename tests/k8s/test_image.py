"""The image: what is in it, and that all files name the same versions of Ray, Python and the project."""

import re
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from raysweep.sweep.load import load_sweep
from raysweep.version import CHECKOUTS, checkouts
from tests.k8s import image
from tests.k8s.manifests import BUILDS, K8S, OVERLAYS, PROJECT, cluster_spec, containers, only, overlay
from tests.k8s.rules import parsed

JOBS = [name for name in OVERLAYS if not name.startswith("cluster")]


def test_only_what_a_run_needs_is_copied():
    assert set(image.copied()) == {
        "k8s/constraints.txt",
        "pyproject.toml",
        "README.md",
        "raysweep",
        "analysis",
        "sweeps",
    }
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == set(image.copied())


def test_the_image_is_no_roots():
    user = re.findall(r"^USER (\d+):(\d+)$", image.DOCKERFILE, re.M)[-1]
    for name in OVERLAYS:
        for where, (container, pod) in containers(overlay(name)).items():
            if "raysweep" in container.get("image", ""):
                shared = pod["securityContext"]
                assert (str(shared["runAsUser"]), str(shared["runAsGroup"])) == user, where


@pytest.mark.parametrize("name", BUILDS)
def test_versions_agree(name):
    assert image.PINS["ray"] == image.BASE["ray"]
    (ray,) = [each for each in overlay(name) if each["kind"] in ("RayCluster", "RayJob")]
    assert cluster_spec(ray)["rayVersion"] == image.BASE["ray"]
    ours = [each for each, _ in containers(overlay(name)).values() if "raysweep" in each.get("image", "")]
    assert len(ours) >= 2
    variant = "-gpu" if "gpu" in str(cluster_spec(ray)["workerGroupSpecs"]) else ""
    (found,) = {each["image"].rpartition("/")[2] for each in ours}
    assert found == f"raysweep{variant}:{image.TAG}-commit"
    assert f"/raysweep{variant}:{image.TAG}-COMMIT ." in image.DOCKERFILE


def test_an_image_knows_its_commit(monkeypatch):
    """Which provenance asks for, and the image has no checkout."""
    (text,) = re.findall(r'^ENV RAYSWEEP_CHECKOUTS="(.*)"$', image.DOCKERFILE, re.M)
    monkeypatch.setenv(CHECKOUTS, text.replace("\\", "").replace("$COMMIT", "0123abcd"))
    assert checkouts() == ("0123abcd", None, "0123abcd", None)


def test_the_build_is_named_in_one_place():
    """To be replaced by one command; until then no image of that name is found, instead of an old one."""
    for path in K8S.rglob("*.yaml"):
        assert (f"{image.TAG}-commit" in path.read_text()) == (path.parent.name == "registry"), path


def test_the_image_fits_the_project():
    python = f"{image.BASE['python'][0]}.{image.BASE['python'][1:]}"
    assert SpecifierSet(image.PYPROJECT["requires-python"]).contains(python)
    for requirement in image.installed():
        assert requirement.specifier.contains(image.PINS[image.canonicalize_name(requirement.name)])


def test_whatever_the_project_needs_is_pinned():
    """Followed from one package to the next, as pip does, where the pinned version is installed here."""
    left = [(each.name, each.extras) for each in [*image.installed(), Requirement("ray[default,tune]")]]
    seen = set()
    while left:
        name, extras = left.pop()
        key = image.canonicalize_name(name)
        if (key, frozenset(extras)) in seen:
            continue
        seen.add((key, frozenset(extras)))
        assert key in image.PINS, f"{name}: make constraints.txt anew"
        if key == "psycopg2-binary" or distribution(name).version != image.PINS[key]:
            continue  # the server's alone; or other versions, which may need other packages
        for text in distribution(name).requires or []:
            need = Requirement(text)
            if not need.marker or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                left.append((need.name, need.extras))


@pytest.mark.parametrize("name", JOBS)
def test_the_entrypoint_names_a_sweep_in_the_image(name):
    _, options = parsed(only(overlay(name), "RayJob")["spec"]["entrypoint"])
    for path in options["sweeps"]:
        assert path.split("/")[0] in image.copied()
        assert load_sweep(str(PROJECT / path), options["override"])


def test_examples_of_secrets_hold_no_secrets():
    example = (K8S / "storage.example.env").read_text()
    keys = dict(line.split("=", 1) for line in example.splitlines() if not line.startswith("#"))
    assert set(keys) == {"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert keys["AWS_SECRET_ACCESS_KEY"] == "replace-me"
    assert [path.name for path in K8S.rglob("*.env*")] == ["storage.example.env"]


def test_the_servers_database_driver_is_in_the_image():
    """Named in the address: SQLAlchemy's default driver for PostgreSQL is another one."""
    (server,) = only(overlay("cpu"), "Deployment")["spec"]["template"]["spec"]["containers"]
    uri = next(each["value"] for each in server["env"] if each["name"] == "MLFLOW_BACKEND_STORE_URI")
    driver = uri.partition("://")[0].removeprefix("postgresql+")
    assert f"{driver}-binary" in {requirement.name for requirement in image.installed()}


def test_a_shared_volume_needs_no_credentials_for_storage():
    assert "secretRef" not in str(only(overlay("shared-volume"), "RayJob"))
    assert "secretRef" in str(only(overlay("cpu"), "RayJob"))
