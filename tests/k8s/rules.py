"""What KubeRay's operator, Kueue and this project ask for beyond any schema; each rule yields its breaches.

What is admitted: the rules of KubeRay v1.7 (ValidateRayJobMetadata, ValidateRayJobSpec,
ValidateRayClusterSpec) and of Kueue's webhook for RayJobs. What lives on: the rules that follow from what
controllers do to a job that runs, when a node is lost, a submitter dies, or manifests are applied again.
"""

import re
import shlex

import typer

from raysweep.cli import app
from tests.k8s.manifests import cluster_spec, groups

QUEUE = "kueue.x-k8s.io/queue-name"
LONGEST_JOB = 47  # its cluster's name has six more letters, and services of that name ten more, of 63
LONGEST_CLUSTER = 53
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
FIRST_WITH_TOKENS = (2, 52)
PATIENCE = 60  # seconds for which the head's pod may stay on a node that is gone
SUBMITTERS = 10  # deaths that a job outlives; the operator's default is 2
SPOT = {  # the labels by which clouds tell their spot nodes
    "karpenter.sh/capacity-type": "spot",
    "eks.amazonaws.com/capacityType": "SPOT",
    "cloud.google.com/gke-spot": "true",
    "cloud.google.com/gke-preemptible": "true",
    "kubernetes.azure.com/scalesetpriority": "spot",
}
STAYS = {"karpenter.sh/do-not-disrupt": "true", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
WORDS = re.compile(r"[A-Za-z0-9_./:=,@+ -]+")  # that mean the same to every shell
USAGE_ERROR = typer.BadParameter.__mro__[1]  # click's, of which typer brings its own copy


def broken(thing):
    """Every breach of a RayJob or a RayCluster, a line each."""
    rules = JOB_RULES + CLUSTER_RULES if thing["kind"] == "RayJob" else CLUSTER_RULES
    return [breach for rule in rules for breach in rule(thing)]


def name(thing):
    longest = LONGEST_JOB if thing["kind"] == "RayJob" else LONGEST_CLUSTER
    given = thing["metadata"]["name"]
    if len(given) > longest:
        yield f"the name has {len(given)} characters, of {longest} at most"
    if not LABEL.fullmatch(given):
        yield f"the name {given!r} is no DNS label"


def deletion(job):
    spec = job["spec"]
    if spec.get("deletionStrategy", {}).get("deletionRules") and spec.get("shutdownAfterJobFinishes"):
        yield "deletionRules and shutdownAfterJobFinishes exclude each other"


def time_to_live(job):
    spec = job["spec"]
    if spec.get("ttlSecondsAfterFinished") and not spec.get("shutdownAfterJobFinishes"):
        yield "ttlSecondsAfterFinished needs shutdownAfterJobFinishes"


def suspension(job):
    spec = job["spec"]
    if spec.get("suspend") and not spec.get("shutdownAfterJobFinishes"):
        yield "suspend needs shutdownAfterJobFinishes"
    if spec.get("suspend") and spec.get("clusterSelector"):
        yield "suspend and clusterSelector exclude each other"


def retries(job):
    """Every retry is a new cluster that starts the entrypoint again: only for commands that resume."""
    spec = job["spec"]
    if spec.get("backoffLimit") and spec.get("clusterSelector"):
        yield "backoffLimit and clusterSelector exclude each other"
    if spec.get("backoffLimit") and spec.get("submissionMode") == "InteractiveMode":
        yield "backoffLimit and InteractiveMode exclude each other"
    if spec.get("backoffLimit") and shlex.split(spec["entrypoint"])[:2] != ["raysweep", "run"]:
        yield "backoffLimit starts a new cluster for each retry, and the entrypoint does not resume"


def sidecar(job):
    spec = job["spec"]
    if spec.get("submissionMode") != "SidecarMode":
        return
    for key in ("submitterPodTemplate", "submitterConfig", "clusterSelector"):
        if spec.get(key):
            yield f"SidecarMode and {key} exclude each other"
    head = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    if head.get("restartPolicy", "Never") != "Never":
        yield "SidecarMode: the head's restartPolicy must be Never"


def replicas(thing):
    """By default a group may grow to 2,147,483,647 workers, with autoscaling and without."""
    for group in cluster_spec(thing)["workerGroupSpecs"]:
        least, most = group.get("minReplicas"), group.get("maxReplicas")
        if least is None or most is None:
            yield f"group {group['groupName']}: minReplicas and maxReplicas must be given"
        elif not least <= group.get("replicas", least) <= most:
            yield f"group {group['groupName']}: replicas lie outside minReplicas and maxReplicas"


def owned_replicas(thing):
    """`replicas` belongs to the autoscaler: to apply a manifest that has it undoes its work."""
    scales = cluster_spec(thing).get("enableInTreeAutoscaling")
    for group in cluster_spec(thing)["workerGroupSpecs"]:
        if scales and "replicas" in group:
            yield f"group {group['groupName']}: replicas belong to the autoscaler"
        if not scales and "replicas" not in group:
            yield f"group {group['groupName']}: a group of a fixed size needs replicas"


def lost_node(thing):
    """A head whose node is gone has to be replaced soon, and should not be on a node that goes soon."""
    pod = cluster_spec(thing)["headGroupSpec"]["template"]["spec"]
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        stays = [each.get("tolerationSeconds") for each in pod.get("tolerations", []) if each["key"] == key]
        if not stays or stays[0] is None or stays[0] > PATIENCE:
            yield f"the head must not tolerate {key} for longer than {PATIENCE} seconds"
    wanted = pod.get("affinity", {}).get("nodeAffinity", {}).get(REQUIRED, {}).get("nodeSelectorTerms", [{}])
    for key, value in SPOT.items():
        barred = {"key": key, "operator": "NotIn", "values": [value]}
        if not all(barred in term.get("matchExpressions", []) for term in wanted):
            yield f"the head may be placed on a spot node ({key})"


def undisturbed(thing):
    """Whoever tidies up nodes must not move the driver."""
    annotations = cluster_spec(thing)["headGroupSpec"]["template"].get("metadata", {}).get("annotations", {})
    for key, value in STAYS.items():
        if annotations.get(key) != value:
            yield f"the head may be moved: no {key}"


def submitters(job):
    """When its submitters are used up the operator ends the job, with whatever its cluster is doing."""
    if job["spec"].get("submitterConfig", {}).get("backoffLimit", 2) < SUBMITTERS:
        yield f"submitterConfig.backoffLimit must be {SUBMITTERS} or more"
    (submitter,) = job["spec"]["submitterPodTemplate"]["spec"]["containers"]
    if "livenessProbe" not in submitter:
        yield "the submitter must have a livenessProbe: it does not notice that its head's node is gone"


def owned_suspend(job):
    """`suspend` belongs to Kueue, which sets it at creation: applied again, it would stop a job that runs."""
    if "suspend" in job["spec"]:
        yield "suspend belongs to Kueue"


def autoscaling(thing):
    spec = cluster_spec(thing)
    if not spec.get("enableInTreeAutoscaling"):
        if spec.get("autoscalerOptions"):
            yield "autoscalerOptions without enableInTreeAutoscaling"
        return
    if any(group.get("suspend") for group in spec["workerGroupSpecs"]):
        yield "a group cannot be suspended with autoscaling"
    if spec.get("autoscalerOptions", {}).get("version") != "v2":
        return
    for group in groups(thing):
        if group["template"]["spec"].get("restartPolicy", "Never") != "Never":
            yield "autoscaler v2: the restartPolicy of Ray's pods must be Never"


def tokens(thing):
    spec = cluster_spec(thing)
    if spec.get("authOptions", {}).get("mode") != "token":
        yield "authOptions.mode must be token"
    given = tuple(int(part) for part in spec.get("rayVersion", "0").split(".")[:2])
    if given < FIRST_WITH_TOKENS:
        yield "token authentication needs rayVersion 2.52 or newer"


def gates(thing):
    """Fields that an operator with its default feature gates refuses."""
    for key in ("networkPolicy", "tlsOptions", "historyServerOptions"):
        if key in cluster_spec(thing):
            yield f"{key} needs a feature gate of the operator"


def head_without_tasks(thing):
    if cluster_spec(thing)["headGroupSpec"]["rayStartParams"].get("num-cpus") != "0":
        yield "the head must have num-cpus 0: trials there would take the driver's memory"


def queue(job):
    if QUEUE not in job["metadata"].get("labels", {}):
        return
    if not job["spec"].get("shutdownAfterJobFinishes"):
        yield "a job in a queue must have shutdownAfterJobFinishes"
    if job["spec"].get("clusterSelector"):
        yield "a job in a queue must bring its own cluster"
    if cluster_spec(job).get("enableInTreeAutoscaling"):
        yield "a job in a queue must not scale itself"
    if len(cluster_spec(job)["workerGroupSpecs"]) > 6:  # eight kinds of pods, with head and submitter
        yield "a job in a queue has six groups of workers at most"


def entrypoint(job):
    """It parses with the project's command line, joins the cluster, and names files that are in the image."""
    text = job["spec"]["entrypoint"]
    if not WORDS.fullmatch(text):
        yield "entrypoint: the submitter's and the head's shells would read it differently"
    try:
        command, options = parsed(text)
    except (USAGE_ERROR, ValueError) as error:
        yield f"entrypoint: {getattr(error, 'message', error)}"
        return
    if command != "run":
        yield f"entrypoint: raysweep {command} is no run"
        return
    if options["address"] != "auto":
        yield "entrypoint: without --address auto it would start a Ray of its own"
    if not options["root"].startswith(("s3://", "gs://", "/")):
        yield f"entrypoint: the root {options['root']} is lost with the head"


def parsed(text):
    """Parse `raysweep ...` without running it: the command's name and its parameters.

    Raises `USAGE_ERROR`, or `ValueError` when it is another program.
    """
    program, *words = shlex.split(text)
    if program != "raysweep":
        raise ValueError(f"{program} is not raysweep")
    group = typer.main.get_command(app)
    name, command, rest = group.resolve_command(group.context_class(group), words)
    return name, command.make_context(name, list(rest)).params


CLUSTER_ADMISSION = (name, replicas, autoscaling, tokens, gates, head_without_tasks)
CLUSTER_LIFE = (owned_replicas, lost_node, undisturbed)
CLUSTER_RULES = CLUSTER_ADMISSION + CLUSTER_LIFE
JOB_ADMISSION = (deletion, time_to_live, suspension, retries, sidecar, queue, entrypoint)
JOB_LIFE = (submitters, owned_suspend)
JOB_RULES = JOB_ADMISSION + JOB_LIFE
