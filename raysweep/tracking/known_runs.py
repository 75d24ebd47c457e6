"""The runs of an experiment, by what they stand for, and what has been logged to each of them."""

import json
from dataclasses import dataclass, field

from mlflow.entities import Run, ViewType
from mlflow.tracking import MlflowClient

from raysweep.tracking.values import RUN_NAME

# Tags, set last, that record what has been logged.
LEVELS, CONTENT, FAILURE = "raysweep.levels", "raysweep.content", "raysweep.failure"
TABLES = "raysweep.tables"  # a tag of the sweep's run: where its tables are
PARENT = "mlflow.parentRunId"
NOTE = "mlflow.note.content"  # the description, which MLflow shows
# A tag: "true" for what the tables have, "false" for runs of an earlier version of the sweep.
CURRENT = "raysweep.current"
EARLIER = "earlier: "  # what the names of the latter begin with
NAME, NAMED = "mlflow.runName", "raysweep.name"  # tags: what a run is called, and what it was called by us


@dataclass
class KnownRun:
    """A run: what has been logged under it, and whether it is `new`, so that nothing can have been.

    `began` is in milliseconds, `status` what MLflow calls the end of a run, or RUNNING, and `parent` the id
    of the run in which MLflow shows this one; `current` is that tag.
    `levels` has a digest of what was logged of each level of a trial, `failure` that of its failure, and
    `content` that of a setting; `inputs` are the digests of its data sets. `shown` has the points of metrics
    that have been asked for, by name and step. `name` is None where somebody has changed it.
    """

    run_id: str
    new: bool
    name: str | None
    began: int = 0
    status: str = "RUNNING"
    parent: str = ""
    current: str = ""
    params: dict[str, str] = field(default_factory=dict)
    metrics: set[str] = field(default_factory=set)
    levels: dict[int, str] = field(default_factory=dict)
    content: str = ""
    failure: str = ""
    shown: dict[str, dict[int, float]] = field(default_factory=dict)
    inputs: set[str] = field(default_factory=set)


def search(client: MlflowClient, experiment: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    """Return all runs of an experiment, by default without those that were deleted in MLflow."""
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], run_view_type=view, max_results=1000, page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            return runs


def read_run(run: Run) -> KnownRun:
    """Return what a run says of itself."""
    tags = run.data.tags
    return KnownRun(
        run.info.run_id,
        new=False,
        name=tags[NAME] if tags.get(NAME) == tags.get(NAMED) else None,
        began=run.info.start_time,
        status=run.info.status,
        parent=tags.get(PARENT, ""),
        current=tags.get(CURRENT, ""),
        params=dict(run.data.params),
        metrics=set(run.data.metrics),
        levels=_levels(json.loads(tags.get(LEVELS, "{}"))),
        content=tags.get(CONTENT, ""),
        failure=tags.get(FAILURE, ""),
        inputs={each.dataset.digest for each in (run.inputs.dataset_inputs if run.inputs else ())},
    )


def _levels(said: dict[str, str] | list[int]) -> dict[int, str]:
    """Return the digests of what was logged by level; earlier versions listed the levels alone."""
    named = said if isinstance(said, dict) else dict.fromkeys(said, "")
    return {int(level): content for level, content in named.items()}


def outdated_tags(run: KnownRun, parent: str, current: bool) -> dict[str, str]:
    """Return the tags that a run must get: where it is shown, and whether the tables have it.

    The name of one that they no longer have says so, unless somebody has named it.
    """
    tags = {PARENT: parent} if run.parent != parent and run.run_id != parent else {}
    if run.current != (said := "true" if current else "false"):
        tags[CURRENT] = said
    if run.name is not None:
        plain = run.name.removeprefix(EARLIER)
        name = plain if current else f"{EARLIER}{plain}"[:RUN_NAME]
        tags |= {NAME: name, NAMED: name} if name != run.name else {}
    return tags


def is_used(run: Run) -> bool:
    """Whether anything has been logged to a run."""
    return bool(run.data.metrics) or not {LEVELS, CONTENT, FAILURE, TABLES}.isdisjoint(run.data.tags)


def by_identity(runs: list[Run]) -> dict[str, Run]:
    """Return runs by identity; of two with the same identity, the one with metrics or with children."""
    parents = {run.data.tags.get(PARENT) for run in runs}
    found: dict[str, Run] = {}
    for run in runs:
        identity = run.data.tags.get("raysweep.id")
        used = run.info.run_id in parents or is_used(run)
        if identity and (used or identity not in found):
            found[identity] = run
    return found
