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
PARAMETERS = (
    *("dataset", "model", "norm", "width", "depth", "init", "epochs", "batch_size", "learning_rate"),
    *("momentum", "weight_decay", "schedule", "replicate", "init_seed", "data_seed", "group"),
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
        for trial in tables["trials"].to_dict("records"):
            self._trial(trial, metrics[metrics.trial_id == trial["trial_id"]], parent)
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

    def _trial(self, trial: dict[Any, Any], metrics: pd.DataFrame, parent: str) -> None:
        identity = f"trial {trial['trial_id']}"
        if identity in self._known and self._known[identity].info.status == "FINISHED":
            return
        name = f"{trial['model']}-{trial['width']} {trial['dataset']} replicate {trial['replicate']}"
        run = self._run(identity, name, parent, int(metrics.time.min() * 1000))
        end = int(metrics.time.max() * 1000)
        values = [
            (f"{row['split']}_{risk}", row[risk], int(row["time"] * 1000), int(row["step"]))
            for row in metrics.to_dict("records")
            for risk in ("loss", "error")
        ]
        self._log(run, values, {key: trial[key] for key in PARAMETERS})
        self._client.set_terminated(run, "FINISHED", end)

    def _group(self, group: str, method: str, rows: pd.DataFrame, parent: str, time: int) -> None:
        """Mean, spread and count of every kind of barrier, so that widths and methods can be compared."""
        first = rows.iloc[0]
        run = self._run(
            f"group {group} {method}", f"{first.model}-{first.width} {first.dataset} {method}", parent, time
        )
        shared = {key: first[key] for key in ("dataset", "model", "norm", "width", "group")}
        values: list[tuple[str, float, int, int]] = []
        for (interpolation, kind, split), part in rows.groupby(["interpolation", "kind", "split"]):
            for column in ("loss_barrier", "error_barrier", "loss_centre", "error_centre"):
                name = f"{split}/{interpolation}_{kind}/{column}"
                values.append((f"{name}_mean", part[column].mean(), time, 0))
                values.append((f"{name}_std", part[column].std(ddof=0), time, 0))
            values.append((f"{split}/{interpolation}_{kind}/n", len(part), time, 0))
        logged = self._known.get(f"group {group} {method}")
        old = logged.data.metrics if logged else {}
        changed = [value for value in values if old.get(value[0]) != value[1]]
        self._log(run, changed, {} if logged else shared | {"method": method})
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

    def _log(self, run: str, values: list[tuple[str, float, int, int]], params: dict[str, Any]) -> None:
        from mlflow.entities import Metric, Param

        metrics = [Metric(name, float(value), time, step) for name, value, time, step in values]
        self._client.log_batch(run, params=[Param(key, str(value)) for key, value in params.items()])
        for start in range(0, len(metrics), BATCH):
            self._client.log_batch(run, metrics=metrics[start : start + BATCH])
