"""The experiment of a sweep: found, created, restored, or made anew where a root has been moved."""

from dataclasses import dataclass
from urllib.parse import unquote

from mlflow.entities import Experiment, ViewType
from mlflow.tracking import MlflowClient

from raysweep.store.files import Files
from raysweep.tracking.address import is_own_database
from raysweep.tracking.root_id import root_id

MOVED = ", moved ("
IDENTITY = "raysweep.id"  # a tag: the name that an experiment got from us, which a user may change
ACTIVE = "active"  # the stage of what nobody has deleted in MLflow


@dataclass(frozen=True)
class Found:
    """The id of an experiment, and what a user should know about how it was found."""

    experiment: str
    remark: str = ""


def find_experiment(client: MlflowClient, files: Files, sweep: str, uri: str) -> Found:
    """Return the experiment of a sweep.

    Its name has the id of the root, because roots may share a server. One that was deleted in MLflow is
    restored. MLflow stores the absolute place of artifacts, which no request changes. In the root's own
    database an experiment whose artifacts lie elsewhere is therefore deleted, and all is logged again to a
    new one. One that a user has renamed keeps that name, because a tag has ours.
    """
    # MLflow displays only what follows the last slash of a name, and truncates its end.
    name = f"{sweep} (raysweep {root_id(files)})"
    place = None
    if uri.startswith("sqlite") and files.directory:
        place = (files.directory / "mlartifacts").as_uri()
    remark = ""
    if place and is_own_database(files, uri):
        for each in client.search_experiments(view_type=ViewType.ALL):
            named = each.tags.get(IDENTITY, each.name)
            old = named.startswith(f"{sweep} (raysweep ") and MOVED not in each.name
            if old and _place(each) != unquote(place):
                _set_aside(client, each)
                remark = "the root was moved or copied; all is logged to a new experiment"
    found = _found(client, name)
    if found is None:
        return Found(client.create_experiment(name, place, {IDENTITY: name}), remark)
    if found.lifecycle_stage != ACTIVE:
        client.restore_experiment(found.experiment_id)
        remark = "the experiment had been deleted in MLflow and is restored"
    return Found(found.experiment_id, remark)


def _found(client: MlflowClient, name: str) -> Experiment | None:
    """Return the experiment to which we gave a name, rather one that is active than one that was deleted.

    Earlier versions of this project gave it no tag: such a one is found by its name, and gets the tag.
    """
    ours = f"tags.`{IDENTITY}` = '{name}'"
    tagged = client.search_experiments(view_type=ViewType.ALL, filter_string=ours)
    there = [each for each in tagged if MOVED not in each.name]
    if there:
        return min(there, key=lambda each: each.lifecycle_stage != ACTIVE)
    found = client.get_experiment_by_name(name)
    if found and found.lifecycle_stage == ACTIVE:
        client.set_experiment_tag(found.experiment_id, IDENTITY, name)
    return found


def _set_aside(client: MlflowClient, old: Experiment) -> None:
    """Delete an experiment in MLflow's sense, so that it can be restored, and free its name."""
    if old.lifecycle_stage != ACTIVE:
        client.restore_experiment(old.experiment_id)
    client.rename_experiment(old.experiment_id, f"{old.name}{MOVED}{old.experiment_id})")
    client.delete_experiment(old.experiment_id)


def _place(experiment: Experiment) -> str:
    """Return where the artifacts are, as a URI without quotes; older experiments have a path."""
    place = unquote(experiment.artifact_location)
    return f"file://{place}" if place.startswith("/") else place
