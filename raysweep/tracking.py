"""MLflow, from the tables: a parent run, a child per trial, a child per group and method.

The only file that imports mlflow. Runs are found again by the tag `raysweep.id`, and timestamps come
from the stored rows, so logging again changes nothing; where a local marker says that the server is up
to date, mlflow is not even imported.
"""

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from raysweep.digest import digest
from raysweep.store.files import Files
from raysweep.sweep.load import Sweep

if TYPE_CHECKING:
    pass

BATCH = 1000  # metrics a request
PATIENCE = 120  # seconds that the end of a run waits for the tracking server
MARKER = "tracking.json"
LEVELS, CONTENT = "raysweep.levels", "raysweep.content"  # tags that say what has been logged
AT_END = ("sparsity", "train_loss", "train_error", "test_loss", "test_error")
Value = tuple[str, float, int, int]  # name, value, time in milliseconds, step
PARAMETERS = (
    *("dataset", "model", "norm", "width", "depth", "init", "epochs", "batch_size", "learning_rate"),
    *("optimiser", "momentum", "weight_decay", "schedule", "replicate", "init_seed", "data_seed", "group"),
    *("branch", "parent_trial", "mask_trial", "mask_permutation"),
)


class Tracker:
    """Brings MLflow up to date with the published tables, in one daemon thread of the driver.

    Importing MLflow and its first migration take seconds, so `prepare` starts them beside the work. A
    server that is down or hangs loses nothing: `finish` says so, and the next run logs what is missing.
    """

    def __init__(self, files: Files, sweep: Sweep) -> None:
        self._files, self._sweep = files, sweep
        self._folder = files.path(f"sweeps/{sweep.name}")
        self._marker = f"sweeps/{sweep.name}/{MARKER}"
        self._uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{files.root / 'mlflow.db'}"
        self._ready = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)

    def prepare(self) -> None:
        """Connect in the background."""
        self._thread.start()

    def finish(self) -> str:
        """Log what the tables say and return a line for the user; waits at most `PATIENCE` seconds."""
        hint = f"mlflow:  {self._uri}"
        if self._uri.startswith("sqlite"):
            hint = f"mlflow:  mlflow ui --backend-store-uri {self._uri}"
        state = json.dumps({"uri": self._uri, "content": _content(self._folder)}).encode()
        if self._files.exists(self._marker) and self._files.get(self._marker) == state:
            return hint
        if not self._thread.is_alive() and self._error is None:
            self._thread.start()
        self._ready.set()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            return f"mlflow:  {self._uri} does not answer; the next run logs what is missing"
        if self._error is not None:
            first = str(self._error).splitlines()[0]
            return f"mlflow:  {self._uri} is not up to date ({first}); the next run logs what is missing"
        self._files.put(self._marker, state)
        return hint

    def _work(self) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from mlflow.exceptions import MlflowException

        try:
            log = _Log(self._files, self._sweep, self._uri, self._folder)
            self._ready.wait()
            log.everything()
        except MlflowException as error:
            self._error = error


def _content(folder: Path) -> str:
    """The digest of all that is logged."""
    sha = hashlib.sha256()
    for path in sorted([*folder.glob("*/*.parquet"), *folder.glob("figures/*"), folder / "sweep.yaml"]):
        sha.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return sha.hexdigest()


class _Log:
    """One pass over the tables of a sweep."""

    def __init__(self, files: Files, sweep: Sweep, uri: str, folder: Path) -> None:
        import logging

        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        from mlflow.tracking import MlflowClient

        self._client: MlflowClient = MlflowClient(uri)
        self._folder, self._sweep = folder, sweep
        name = f"raysweep/{sweep.name}/{digest(str(files.root))[:8]}"
        local = uri.startswith("sqlite")
        self._experiment = self._find_experiment(name, str(files.root / "mlartifacts") if local else None)
        self._known = {
            run.data.tags["raysweep.id"]: run for run in self._search() if "raysweep.id" in run.data.tags
        }

    def _find_experiment(self, name: str, artifacts: str | None) -> str:
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found else self._client.create_experiment(name, artifacts)

    def _search(self) -> list[Any]:
        runs: list[Any] = []
        token = None
        while True:
            page = self._client.search_runs([self._experiment], max_results=1000, page_token=token)
            runs.extend(page)
            token = page.token
            if not token:
                return runs

    def everything(self) -> None:
        """Log parent, trials, groups and artifacts."""
        tables = {name: pd.read_parquet(self._folder / name) for name in ("trials", "metrics", "barriers")}
        metrics = tables["metrics"]
        began = int(metrics.time.min() * 1000) if len(metrics) else 0
        ended = int(metrics.time.max() * 1000) if len(metrics) else 0
        parent = self._run("sweep", self._sweep.name, None, began)
        by_trial = dict(list(metrics.groupby("trial_id")))
        for trial_id, levels in tables["trials"].groupby("trial_id"):
            self._trial(str(trial_id), levels, by_trial[trial_id], parent)
        barriers = tables["barriers"]
        named = barriers.assign(method=barriers.method.fillna("unaligned"))
        for (group, method), rows in named.groupby(["group", "method"]):
            self._group(str(group), str(method), rows, parent, ended)
        self._parent(parent, tables, ended)

    def _run(self, identity: str, name: str, parent: str | None, began: int) -> str:
        if identity in self._known:
            return self._known[identity].info.run_id
        tags = {"raysweep.id": identity, "mlflow.runName": name, "mlflow.user": "raysweep"}
        if parent:
            tags["mlflow.parentRunId"] = parent
        return self._client.create_run(self._experiment, start_time=began, tags=tags).info.run_id

    def _trial(self, trial_id: str, levels: pd.DataFrame, metrics: pd.DataFrame, parent: str) -> None:
        """Loss and error by step (of each level), and at the end of every level with the level as step."""
        identity = f"trial {trial_id}"
        known = self._known.get(identity)
        logged = set(json.loads(known.data.tags.get(LEVELS, "[]"))) if known else set()
        new = levels[~levels.level.isin(logged)]
        if new.empty:
            return
        first = levels.iloc[0]
        branch = "" if first.branch == "main" else f" {first.branch}"
        name = f"{first.model}-{first.width} {first.dataset}{branch} replicate {first.replicate}"
        run = self._run(identity, name, parent, int(metrics.time.min() * 1000))
        values: list[Value] = []
        for level in new.to_dict("records"):
            rows = metrics[metrics.level == level["level"]]
            prefix = f"level_{level['level']:02d}/" if level["level"] else ""
            values += _by_step(rows, prefix)
            if level["level"]:
                end = int(rows.time.max() * 1000)
                values += [(f"end/{name}", level[name], end, level["level"]) for name in AT_END]
        self._log(run, values, {} if known else {key: first[key] for key in PARAMETERS})
        self._client.set_tag(run, LEVELS, json.dumps(sorted(levels.level.tolist())))
        self._client.set_terminated(run, "FINISHED", int(metrics.time.max() * 1000))

    def _group(self, group: str, method: str, rows: pd.DataFrame, parent: str, time: int) -> None:
        """Mean, spread and count of every kind of barrier, so that widths and methods can be compared."""
        first, identity = rows.iloc[0], f"group {group} {method}"
        run = self._run(identity, f"{first.model}-{first.width} {first.dataset} {method}", parent, time)
        shared = {key: first[key] for key in ("dataset", "model", "norm", "width", "group")}
        values: list[Value] = []
        for key, part in rows.groupby([_barrier_names(rows), _barrier_steps(rows)]):
            name, step = str(key[0]), int(key[1])  # type: ignore[index,call-overload]
            for column in ("loss_barrier", "error_barrier", "loss_centre", "error_centre"):
                values.append((f"{name}/{column}_mean", part[column].mean(), time, step))
                values.append((f"{name}/{column}_std", part[column].std(ddof=0), time, step))
            values.append((f"{name}/n", len(part), time, step))
        known = self._known.get(identity)
        content = digest([(name, value, step) for name, value, _, step in values])
        if known and known.data.tags.get(CONTENT) == content:
            return
        self._log(run, values, {} if known else shared | {"method": method})
        self._client.set_tag(run, CONTENT, content)
        self._client.set_terminated(run, "FINISHED", time)

    def _parent(self, run: str, tables: dict[str, pd.DataFrame], time: int) -> None:
        """What changes when a sweep is extended goes into tags: parameters are immutable."""
        for table, rows in tables.items():
            self._client.set_tag(run, f"raysweep.{table}", str(len(rows)))
        self._client.set_tag(run, "raysweep.tables", str(self._folder))
        self._client.log_artifact(run, str(self._folder / "sweep.yaml"))
        for figure in sorted(self._folder.glob("figures/*.png")):
            self._client.log_artifact(run, str(figure), "figures")
        self._client.set_terminated(run, "FINISHED", time)

    def _log(self, run: str, values: list[Value], params: dict[str, Any]) -> None:
        from mlflow.entities import Metric, Param

        metrics = [Metric(name, float(value), time, step) for name, value, time, step in values]
        self._client.log_batch(run, params=[Param(key, str(value)) for key, value in params.items()])
        for start in range(0, len(metrics), BATCH):
            self._client.log_batch(run, metrics=metrics[start : start + BATCH])


def _by_step(metrics: pd.DataFrame, prefix: str) -> list[Value]:
    return [
        (f"{prefix}{row['split']}_{risk}", row[risk], int(row["time"] * 1000), int(row["step"]))
        for row in metrics.to_dict("records")
        for risk in ("loss", "error")
    ]


def _barrier_names(rows: pd.DataFrame) -> pd.Series:
    """split/interpolation_kind, with where the permutation was found: at a level of pruning, or at a step.

    Of pruned networks also with the point where they are compared; a hybrid with its layers.
    """
    pruned, end = rows.level > 0, _ends(rows)
    found = rows.permutation_level.map(lambda level: "_dense" if level == 0 else "_level", na_action="ignore")
    along = ~pruned & (~end | (rows.permutation_step < rows.step.max())) & rows.permutation_step.notna()
    rewind = pd.Series("_rewind", rows.index)
    step = "_found_at_" + rows.permutation_step.astype("Int64").astype(str)
    layers = "_" + rows.hybrid + "_" + rows.hybrid_layers.astype("Int64").astype(str)
    name = rows.split + "/" + rows.interpolation + "_" + rows.kind
    for text, where in (
        (found, pruned),
        (rewind, pruned & ~end),
        (step, along),
        (layers, rows.hybrid.notna()),
    ):
        name += text.where(where, "").fillna("")
    return name


def _barrier_steps(rows: pd.DataFrame) -> pd.Series:
    """The axis of a metric: the level of pruning, or the optimiser step before the end of a dense run."""
    return rows.level.where((rows.level > 0) | _ends(rows), rows.step)


def _ends(rows: pd.DataFrame) -> pd.Series:
    return rows.step == rows.step.max()
