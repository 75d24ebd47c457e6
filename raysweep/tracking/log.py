"""Logs a sweep to MLflow as a parent run, a child run per trial, and a child run per setting and method.

Existing runs are found by the tag `raysweep.id`, and timestamps come from the stored rows, so logging again
changes nothing.
"""

import json
import logging
from pathlib import Path

import pandas as pd
from mlflow.entities import Metric, Param, Run
from mlflow.tracking import MlflowClient

from raysweep.digest import digest
from raysweep.store.files import Files
from raysweep.sweep.load import Sweep
from raysweep.tracking.links import ORDER, description
from raysweep.tracking.values import (
    AT_END,
    Value,
    barriers,
    by_step,
    configured,
    label,
    order,
    parameters,
    setting_words,
    trial_words,
)

BATCH = 1000  # metrics per request
LEVELS, CONTENT = "raysweep.levels", "raysweep.content"  # tags, set last, that record what has been logged
NOTE = "mlflow.note.content"


class Log:
    """One pass over the tables of a sweep."""

    def __init__(self, files: Files, sweep: Sweep, uri: str) -> None:
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self._client = MlflowClient(uri)
        self._files, self._sweep = files, sweep
        # MLflow displays only what follows the last slash of a name, and truncates its end.
        name = f"{sweep.name} (raysweep {digest(files.root)[:8]})"
        artifacts = files.directory / "mlartifacts" if files.directory else None
        local = uri.startswith("sqlite")
        self.experiment = self._find_experiment(name, str(artifacts) if local and artifacts else None)
        self._known = _by_identity(self._search())
        self._ours: dict[str, str] = {identity: run.info.run_id for identity, run in self._known.items()}

    def _find_experiment(self, name: str, artifacts: str | None) -> str:
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found else self._client.create_experiment(name, artifacts)

    def _search(self) -> list[Run]:
        runs: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs([self.experiment], max_results=1000, page_token=token)
            runs.extend(page)
            token = page.token
            if not token:
                return runs

    def everything(self, folder: Path) -> None:
        """Log the parent, trials, settings and artifacts from the tables and figures in a folder."""
        tables = {name: pd.read_parquet(folder / name) for name in ("trials", "metrics", "barriers")}
        trials, metrics = tables["trials"], tables["metrics"]
        began = int(metrics.time.min() * 1000) if len(metrics) else 0
        ended = int(metrics.time.max() * 1000) if len(metrics) else 0
        parent = self._run("sweep", self._sweep.name, began, {})
        by_trial = dict(list(metrics.groupby("trial_id")))
        for trial_id, levels in trials.assign(configured=configured(trials, trials)).groupby("trial_id"):
            name = label(levels.iloc[0], *trial_words(levels.iloc[0], trials))
            self._trial(str(trial_id), name, levels, by_trial[trial_id], parent)
        found = tables["barriers"]
        named = found.assign(method=found.method.fillna("unaligned"), configured=configured(found, trials))
        for (setting, method), rows in named.groupby(["group", "method"]):
            members = trials[trials.group == setting]
            # Networks of different settings share only the parameters in the rows of their comparison.
            shared = parameters(rows if members.empty else members)
            name = label(rows.iloc[0], *setting_words(str(method), rows, trials))
            self._setting(str(setting), str(method), name, rows, shared, parent, ended)
        self._parent(parent, tables, folder, ended)
        self._remove_doubles()

    def _run(self, identity: str, name: str, began: int, tags: dict[str, str]) -> str:
        if identity in self._known:
            return str(self._known[identity].info.run_id)
        own = {"raysweep.id": identity, "mlflow.runName": name, "mlflow.user": "raysweep"}
        run = self._client.create_run(self.experiment, start_time=began, tags=own | tags)
        self._ours[identity] = run.info.run_id
        return self._ours[identity]

    def _remove_doubles(self) -> None:
        """Delete duplicate runs, which arise when MLflow's client repeats a request to create one."""
        for run in self._search():
            ours = self._ours.get(run.data.tags.get("raysweep.id", ""))
            if ours not in (None, run.info.run_id):
                self._client.delete_run(run.info.run_id)

    def _trial(
        self, trial_id: str, name: str, levels: pd.DataFrame, metrics: pd.DataFrame, parent: str
    ) -> None:
        """Log loss and error by step of each level, and their values at the end of each level by level."""
        identity = f"trial {trial_id}"
        known = self._known.get(identity)
        logged = set(json.loads(known.data.tags.get(LEVELS, "[]"))) if known else set()
        new = levels[~levels.level.isin(logged)]
        if new.empty:
            return
        tags = {"mlflow.parentRunId": parent, "raysweep.group": levels.iloc[0].group}
        run = self._run(identity, name, int(metrics.time.min() * 1000), tags)
        values: list[Value] = []
        for level in new.to_dict("records"):
            rows = metrics[metrics.level == level["level"]]
            values += by_step(rows, f"level_{level['level']:02d}/" if level["level"] else "")
            if level["level"]:
                end = int(rows.time.max() * 1000)
                values += [(f"end/{name}", level[name], end, level["level"]) for name in AT_END]
        self._log(run, values, parameters(levels), known)
        self._client.set_terminated(run, "FINISHED", int(metrics.time.max() * 1000))
        self._client.set_tag(run, LEVELS, json.dumps(sorted(levels.level.tolist())))

    def _setting(
        self,
        setting: str,
        method: str,
        name: str,
        rows: pd.DataFrame,
        shared: dict[str, str],
        parent: str,
        time: int,
    ) -> None:
        """Log mean, spread and count of every kind of barrier, to compare widths and methods."""
        identity = f"group {setting} {method}"
        tags = {"mlflow.parentRunId": parent, "raysweep.group": setting, ORDER: order(rows.iloc[0], method)}
        run = self._run(identity, name, time, tags)
        values = barriers(rows, time)
        known = self._known.get(identity)
        content = digest([(name, value, step) for name, value, _, step in values])
        if known and known.data.tags.get(CONTENT) == content:
            return
        self._log(run, values, shared | {"method": method}, known)
        self._client.set_terminated(run, "FINISHED", time)
        self._client.set_tag(run, CONTENT, content)

    def _parent(self, run: str, tables: dict[str, pd.DataFrame], folder: Path, time: int) -> None:
        """Log as tags what changes when a sweep is extended, because parameters are immutable."""
        for table, rows in tables.items():
            self._client.set_tag(run, f"raysweep.{table}", str(len(rows)))
        self._client.set_tag(run, "raysweep.tables", self._files.where(f"sweeps/{self._sweep.name}"))
        self._describe(run)
        self._client.log_artifact(run, str(folder / "sweep.yaml"))
        if (folder / "figures").exists():
            self._client.log_artifacts(run, str(folder / "figures"), "figures")
        self._client.set_terminated(run, "FINISHED", time)

    def _describe(self, parent: str) -> None:
        """Describe the experiment and its parent run, unless a user has written a description."""
        note = description(self.experiment, parent)
        if NOTE not in self._client.get_experiment(self.experiment).tags:
            self._client.set_experiment_tag(self.experiment, NOTE, note)
        if NOTE not in self._client.get_run(parent).data.tags:
            self._client.set_tag(parent, NOTE, note)

    def _log(self, run: str, values: list[Value], params: dict[str, str], known: Run | None) -> None:
        """Log metrics, and those parameters that an earlier, interrupted pass has not logged."""
        present = known.data.params if known else {}
        metrics = [Metric(name, float(value), time, step) for name, value, time, step in values]
        missing = [Param(key, value) for key, value in params.items() if key not in present]
        self._client.log_batch(run, params=missing)
        for start in range(0, len(metrics), BATCH):
            self._client.log_batch(run, metrics=metrics[start : start + BATCH])


def _by_identity(runs: list[Run]) -> dict[str, Run]:
    """Return runs by identity; of two with the same identity, the one with metrics or with children."""
    parents = {run.data.tags.get("mlflow.parentRunId") for run in runs}
    known: dict[str, Run] = {}
    for run in runs:
        identity = run.data.tags.get("raysweep.id")
        used = run.info.run_id in parents or not {LEVELS, CONTENT}.isdisjoint(run.data.tags)
        if identity and (used or identity not in known):
            known[identity] = run
    return known
