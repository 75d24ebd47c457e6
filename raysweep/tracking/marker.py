"""The note under the root of what a server or database has been told, and whether that is still there."""

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter, ValidationError

from raysweep.store.files import CorruptObject, Files
from raysweep.tracking.address import DATABASE, is_own_database


@dataclass(frozen=True)
class Marker:
    """All that was logged, by the digest `content`, to the parent run and the experiment of these ids.

    `status` is that of the parent run, and `deleted` the number of runs that were deleted in MLflow by then.
    """

    uri: str
    content: str
    experiment: str
    parent: str
    status: str
    deleted: int


def read_marker(files: Files, name: str) -> Marker | None:
    """Return the marker, or None where there is none or it is damaged: then all is compared again."""
    try:
        return TypeAdapter(Marker).validate_json(files.find(name) or b"")
    except (CorruptObject, ValidationError):
        return None


def write_marker(files: Files, name: str, marker: Marker) -> None:
    files.put(name, json.dumps(asdict(marker)).encode())


def still_there(files: Files, uri: str, marker: Marker) -> bool:
    """Whether nobody has deleted a run or the experiment in MLflow, as two requests tell.

    The parent run must also have the status that was logged: a run that was interrupted has changed it.

    The root's own database is asked without MLflow, whose import takes seconds. An error of any kind, such as
    that of a server that does not know the run, is for a pass over everything to tell.
    """
    if is_own_database(files, uri):
        assert files.directory
        path = (files.directory / DATABASE).as_uri()
        try:
            with closing(sqlite3.connect(f"{path}?mode=ro", uri=True)) as database:
                query = "select lifecycle_stage, status from runs where run_uuid = ?"
                found = database.execute(query, (marker.parent,)).fetchone()
                query = "select count(*) from runs where experiment_id = ? and lifecycle_stage = 'deleted'"
                (deleted,) = database.execute(query, (marker.experiment,)).fetchone()
                return bool(found == ("active", marker.status) and deleted == marker.deleted)
        except sqlite3.Error:
            return False
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient(uri)
        info = client.get_run(marker.parent).info
        gone = client.search_runs(
            [marker.experiment], run_view_type=ViewType.DELETED_ONLY, max_results=marker.deleted + 1
        )
        return (info.lifecycle_stage, info.status) == ("active", marker.status) and len(
            gone
        ) == marker.deleted
    except MlflowException:
        return False
