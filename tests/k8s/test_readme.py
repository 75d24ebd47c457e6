"""k8s/README.md: raysweep's commands parse, kubectl's name what is there, the outputs are the real ones."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from raysweep.commands.plan import plan_table
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.sweep.load import load_sweep
from tests.k8s import image
from tests.k8s.manifests import BUILDS, K8S, PROJECT, build, cluster_spec, combined, only, overlay
from tests.k8s.rules import parsed

README = (K8S / "README.md").read_text()
BLOCKS = re.findall(r"(?:<!-- (\w+) -->\n)?```(\w*)\n(.*?)```", README, re.S)
COMMANDS = [
    line
    for _, language, text in BLOCKS
    if language == "bash"
    for line in re.sub(r'python -c ".*?"\n', "", text, flags=re.S).splitlines()
]
KUBERAY = "1.7.0"
# What the operator makes beside our manifests: a RayCluster's head service and token, a RayJob's submitter.
MADE = {("service", "raysweep-head-svc"), ("secret", "raysweep")}


def commands(program):
    return [line for line in COMMANDS if line.startswith(f"{program} ")]


def output(name):
    return next(text for found, _, text in BLOCKS if found == name).strip()


def every_object():
    return {(each["kind"].lower(), each["metadata"]["name"]) for name in BUILDS for each in overlay(name)}


@pytest.mark.parametrize("line", commands("raysweep"))
def test_raysweep_commands_parse(line):
    _, options = parsed(line)
    for path in [*(options.get("sweeps") or []), *filter(None, [options.get("sweep")])]:
        assert load_sweep(str(PROJECT / path))


@pytest.mark.parametrize("line", commands("kubectl"))
def test_kubectl_commands_name_what_is_there(line):
    words = shlex.split(line)
    for option, path in pairwise(words):
        if option == "-k" or option == "kustomize":
            assert build(PROJECT / path)
        if option == "-f" and words[1] == "apply":
            assert (PROJECT / path).exists()
        if option == "-n":
            assert path in ("raysweep", "kuberay-system")
    known = every_object() | MADE
    for kind in ("rayjob", "raycluster", "service", "secret", "statefulset", "deployment", "cronjob"):
        for name in re.findall(rf"\b(?:(?:get|delete|port-forward) {kind} |{kind}/)([\w-]+)", line):
            assert (kind, name) in known, line
    if "create secret docker-registry" in line:
        assert f"imagePullSecrets\n        value: [{{name: {words[6]}}}]" in component("pull-secret")
    elif "create secret" in line:
        name, source = words[words.index("generic") + 1 :][:2]
        assert name in used_secrets()
        if "from-env-file" in source:
            assert Path(source.partition("=")[2]).name == "storage.env"
        for key in re.findall(r"--from-literal=(\w+)=", line):
            assert f"{{name: {name}, key: {key}" in manifests()


def component(name):
    return (K8S / "components" / name / "kustomization.yaml").read_text()


def manifests():
    return "".join(path.read_text() for path in K8S.rglob("*.yaml"))


RUN = "import signal, time; signal.signal(signal.SIGUSR1, lambda *_: exit(138)); time.sleep(60)"


@pytest.mark.slow
def test_the_script_for_slurm_passes_the_signal_on_and_is_queued_again(tmp_path):
    (tmp_path / "job.sh").write_text(output("slurm"))
    for name, body in {"raysweep": f"{sys.executable} -c '{RUN}'", "scontrol": 'echo "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\nexec {body}\n")
        (tmp_path / name).chmod(0o755)
    variables = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    script = ["bash", tmp_path / "job.sh"]
    with subprocess.Popen(script, env=variables, stdout=subprocess.PIPE, text=True) as job:
        time.sleep(1)
        job.send_signal(signal.SIGUSR1)
        printed, _ = job.communicate(timeout=30)
    assert (job.returncode, printed) == (138, "requeue 7\n")


# A namespace in which no other process can be seen.
APART = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"]
HOOK = """
import json, subprocess, sys, time
runs = [subprocess.Popen([sys.executable, sys.argv[1], word, "x.yaml"]) for word in ("run", "plan")]
time.sleep(0.5)
subprocess.run(json.loads(sys.argv[2]))
print([run.poll() for run in runs])
"""


@pytest.mark.slow
def test_a_head_that_ends_interrupts_its_runs(tmp_path):
    """And no other process."""
    (head,) = cluster_spec(only(overlay("cpu"), "RayJob"))["headGroupSpec"]["template"]["spec"]["containers"]
    (tmp_path / "raysweep").write_text("import time; time.sleep(60)")
    hook = json.dumps(head["lifecycle"]["preStop"]["exec"]["command"])
    command = [*APART, sys.executable, "-c", HOOK, str(tmp_path / "raysweep"), hook]
    done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout == f"[{-signal.SIGTERM}, None]\n"


def used_secrets():
    return set(re.findall(r"(?:secretRef|secretKeyRef): \{name: (\w+)", manifests()))


def test_every_secret_is_created():
    created = {
        line.split("generic ")[1].split()[0]
        for line in commands("kubectl")
        if "create secret generic" in line
    }
    assert created == used_secrets()


def test_other_commands_name_what_is_there():
    registry = component("registry")
    for line in commands("docker"):
        name, _, tag = re.search(r"registry\S+", line)[0].rpartition(":")
        assert f"newName: {name}\n" in registry
        assert tag == "$TAG"
    (install,) = [line for line in commands("helm") if "install" in line]
    assert f"--version {KUBERAY}" in install
    assert (PROJECT / install.split("--values ")[1]).exists()
    for line in commands("python"):
        module = shlex.split(line)[2]
        assert find_spec(module), line
    programs = {line.split()[0] for line in COMMANDS if line}
    assert programs <= {"raysweep", "kubectl", "docker", "helm", "python", "cp", "sed", "set", "export"}


def test_a_build_is_named_by_its_commit(tmp_path):
    """The README's two commands write the tag of the commit for both images."""
    (tag,) = [line for line in COMMANDS if line.startswith("export TAG")]
    (write,) = commands("sed")
    (tmp_path / "k8s/components").mkdir(parents=True)
    shutil.copytree(K8S / "components/registry", tmp_path / "k8s/components/registry")
    (tmp_path / "git").write_text("#!/bin/sh\necho 0123456789ab\n")
    (tmp_path / "git").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["bash", "-ec", f"{tag}\n{write}"], cwd=tmp_path, check=True, env={"PATH": path})
    written = (tmp_path / "k8s/components/registry/kustomization.yaml").read_text()
    assert written.count(f"newTag: {image.TAG}-0123456789ab\n") == written.count("newTag") == 2


def test_an_overlay_of_ones_own_is_made_of_components():
    found = yaml.safe_load(output("overlay"))
    assert found["resources"] == ["../../base"]
    built = combined([Path(each).name for each in found["components"]])
    assert only(built, "RayJob")


def test_the_plan_is_the_real_one(tmp_path):
    wanted = desired(load_sweep(str(PROJECT / "sweeps/quickstart.yaml")))
    real = plan_table(wanted, todo(wanted, done(wanted, Files(str(tmp_path)))))
    digests = re.compile(r"[0-9a-f]{16,}")  # they change with the code
    assert digests.sub("", output("plan")) == digests.sub("", real)


def test_what_is_created_is_what_is_there():
    lines = [line.split()[0] for line in output("created").splitlines()]
    expected = []
    for thing in overlay("cpu"):
        group = thing["apiVersion"].rpartition("/")[0]
        kind = f"{thing['kind']}.{group}" if group else thing["kind"]
        expected.append(f"{kind.lower()}/{thing['metadata']['name']}")
    assert lines == expected


def test_folders_are_explained():
    for folder in ("overlays", "components"):
        for path in (K8S / folder).iterdir():
            assert f"`{path.name}`" in README or path.name == "copy-cluster", path


def test_the_projects_readme_leads_here():
    assert "(k8s/README.md)" in (PROJECT / "README.md").read_text()
