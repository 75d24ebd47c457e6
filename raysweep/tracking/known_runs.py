"""The runs of an experiment, by what they stand for, and what has been logged to each of them."""

import json
from dataclasses import dataclass, field

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

LEVELS, CONTENT = "raysweep.levels", "raysweep.content"  # tags, set last, that record what has been logged


@dataclass
class Known:
    """A run: what has been logged under it, and whether it is `new`, so that nothing can have been.

    `levels` has a digest of what was logged of each level of a trial, and `content` that of a setting.
    """

    run_id: str
    new: bool
    params: set[str] = field(default_factory=set)
    levels: dict[int, str] = field(default_factory=dict)
    content: str = ""
    inputs: bool = False


def search(client: MlflowClient, experiment: str) -> list[Run]:
    """Return all runs of an experiment."""
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            return runs


def read_run(run: Run) -> Known:
    """Return what a run says of itself."""
    tags = run.data.tags
    levels = _levels(json.loads(tags.get(LEVELS, "{}")))
    inputs = bool(run.inputs and run.inputs.dataset_inputs)
    return Known(run.info.run_id, False, set(run.data.params), levels, tags.get(CONTENT, ""), inputs)


def _levels(said: dict[str, str] | list[int]) -> dict[int, str]:
    """Return the digests of what was logged by level; earlier versions listed the levels alone."""
    named = said if isinstance(said, dict) else dict.fromkeys(said, "")
    return {int(level): content for level, content in named.items()}


def by_identity(runs: list[Run]) -> dict[str, Run]:
    """Return runs by identity; of two with the same identity, the one with metrics or with children."""
    parents = {run.data.tags.get("mlflow.parentRunId") for run in runs}
    found: dict[str, Run] = {}
    for run in runs:
        identity = run.data.tags.get("raysweep.id")
        used = run.info.run_id in parents or not {LEVELS, CONTENT}.isdisjoint(run.data.tags)
        if identity and (used or identity not in found):
            found[identity] = run
    return found
