"""The runs of an experiment: found, made, and logged to."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pandas as pd
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.tracking import MlflowClient

from raysweep.sweep.load import Sweep
from raysweep.tracking.datasets import Datasets
from raysweep.tracking.known_runs import (
    CURRENT,
    NAME,
    NAMED,
    PARENT,
    KnownRun,
    by_identity,
    is_used,
    outdated_tags,
    read_run,
    search,
)
from raysweep.tracking.user import user
from raysweep.tracking.values import Value

BATCH = 900  # metrics per request, which with parameters and tags must be at most 1000
WRITERS = 8  # requests to a server at a time; an SQLite database takes one

Job = Callable[[], None]


class Runs:
    """The runs of an experiment, by the identity of what they stand for, and what is known to be in them.

    `answers` counts the jobs that were carried out, `parent` is the id of the sweep's run once it exists, and
    `deleted` counts the runs of the experiment that are deleted in MLflow.
    """

    def __init__(self, client: MlflowClient, uri: str, experiment: str, sweep: Sweep) -> None:
        self._client, self._experiment = client, experiment
        self._writers = 1 if uri.startswith("sqlite") else WRITERS
        self.answers, self.parent = 0, ""
        there = search(client, experiment)
        self.by_identity = {identity: read_run(run) for identity, run in by_identity(there).items()}
        gone = search(client, experiment, ViewType.DELETED_ONLY)
        self._gone = {identity: read_run(run) for identity, run in by_identity(gone).items()}
        self.deleted = len(gone)
        self._doubled = len(there) > len(self.by_identity)
        self._datasets = Datasets(sweep)

    def each(self, jobs: list[Job]) -> None:
        """Carry out jobs, several at a time, and raise the first of their errors."""
        with ThreadPoolExecutor(self._writers) as pool:
            waiting = [pool.submit(job) for job in jobs]
            try:
                for each in waiting:
                    each.result()
                    self.answers += 1
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def known(self, identity: str) -> KnownRun | None:
        """Return the run of an identity, if there is one, restored where it was deleted in MLflow."""
        if identity in self._gone and identity not in self.by_identity:
            self._client.restore_run(self._gone[identity].run_id)
            self.by_identity[identity] = self._gone.pop(identity)
            self.deleted -= 1
        return self.by_identity.get(identity)

    def ensure(self, identity: str, name: str, began: int, tags: dict[str, str]) -> KnownRun:
        """Return the run of an identity, made with these tags where there is none."""
        known = self.known(identity)
        if known:
            return known
        own = {"raysweep.id": identity, NAME: name, NAMED: name, CURRENT: "true", "mlflow.user": user()}
        parent = {PARENT: self.parent} if self.parent else {}
        made = self._client.create_run(self._experiment, start_time=began, tags=own | parent | tags).info
        run = KnownRun(made.run_id, True, name, made.start_time, parent=self.parent, current="true")
        self.by_identity[identity] = run
        return run

    def identify(self, before: str, now: str) -> None:
        """Have a run stand for something else than before."""
        run = self.by_identity[before]
        self._client.set_tag(run.run_id, "raysweep.id", now)
        self.by_identity[now] = self.by_identity.pop(before)

    def mark(self, shown: set[str]) -> None:
        """Tell runs of what the tables have from those of earlier versions, and have the sweep's show all."""
        wrong = [
            (run, outdated_tags(run, self.parent, identity in shown))
            for identity, run in self.by_identity.items()
        ]
        self.each([partial(self.tag, run, tags) for run, tags in wrong if tags])

    def tag(self, run: KnownRun, tags: dict[str, str]) -> None:
        self._client.log_batch(run.run_id, tags=[RunTag(*tag) for tag in tags.items()])
        run.name, run.parent = tags.get(NAME, run.name), tags.get(PARENT, run.parent)
        run.current = tags.get(CURRENT, run.current)

    def renaming(self, run: KnownRun | None, name: str) -> list[Job]:
        """Return a job where what distinguishes a run from others has changed with the sweep."""
        renamed = {NAME: name, NAMED: name}
        return [partial(self.tag, run, renamed)] if run and run.name not in (None, name) else []

    def say(self, run: KnownRun, status: str, ended: int = 0) -> None:
        """Log the status of a run and when it ended, which is never before it began."""
        if status != "RUNNING":
            self._client.set_terminated(run.run_id, status, max(ended, run.began))
        elif run.status != status:
            self._client.update_run(run.run_id, status)
        run.status = status

    def end_others(self, parent: KnownRun) -> None:
        """Say that trials that are not being trained any more, and yet have not ended, were killed."""
        now = int(time.time() * 1000)
        left = [run for run in self.by_identity.values() if run.status == "RUNNING" and run is not parent]
        self.each([partial(self.say, run, "KILLED", now) for run in left])

    def remove_doubles(self, before: int) -> None:
        """Delete duplicate runs, for which it looks where some have been made since there were `before`.

        They arise when MLflow's client repeats a request to create one, and when two drivers log one sweep:
        then each deletes of its own and the other's the later one by id, so that one remains.
        """
        if not self._doubled and len(self.by_identity) <= before:
            return
        self._doubled = False
        for run in search(self._client, self._experiment):
            ours = self.by_identity.get(run.data.tags.get("raysweep.id", ""))
            if not ours or ours.run_id == run.info.run_id:
                continue
            if not is_used(run) or ours.run_id < run.info.run_id:
                self._client.delete_run(run.info.run_id)
                self.deleted += 1

    def log(
        self,
        run: KnownRun,
        values: list[Value],
        params: dict[str, str],
        ended: int,
        last: dict[str, str],
        datasets: pd.Series | None = None,
        status: str = "FINISHED",
    ) -> None:
        """Log metrics, missing parameters and the data sets of a run; then the tags that record this."""
        if datasets is not None:
            self.add_inputs(run, datasets)
        self.say(run, status, ended)
        metrics = [Metric(name, float(value), time, step) for name, value, time, step in values]
        # Those that a run has cannot be changed.
        missing = [Param(key, value) for key, value in params.items() if key not in run.params]
        batches = [metrics[start : start + BATCH] for start in range(0, len(metrics), BATCH)] or [[]]
        for number, batch in enumerate(batches):
            self._client.log_batch(
                run.run_id,
                metrics=batch,
                params=missing if number == 0 else [],
                tags=[RunTag(*tag) for tag in last.items()] if number == len(batches) - 1 else [],
            )
        run.params |= params
        run.new = False

    def add_inputs(self, run: KnownRun, names: pd.Series) -> None:
        """Log the data sets of a run, once."""
        datasets = [each for name in names.dropna().unique() for each in self._datasets.of(name)]
        if new := [each for each in datasets if each.dataset.digest not in run.inputs]:
            self._client.log_inputs(run.run_id, datasets=new)
            run.inputs |= {each.dataset.digest for each in new}

    def points(self, run: str, name: str) -> dict[int, float]:
        """Return the latest value of a metric at each step."""
        history = self._client.get_metric_history(run, name)
        return {each.step: each.value for each in sorted(history, key=lambda each: each.timestamp)}
