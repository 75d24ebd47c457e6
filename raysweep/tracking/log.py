"""Logs a sweep to MLflow as a parent run, a child run per trial, and a child run per setting and method.

Existing runs are found by the tag `raysweep.id`, and what has been logged by further tags, which are set
last. So logging again changes nothing, and logging more adds what is new.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.tracking import MlflowClient

from raysweep.plan.desired import Desired, desired
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import Sweep
from raysweep.tables.frames import decoded, read_frame
from raysweep.tables.rows import Row
from raysweep.tracking.datasets import Datasets
from raysweep.tracking.experiment import find_experiment
from raysweep.tracking.failed import FailedTrial, failed_trials
from raysweep.tracking.known_runs import (
    CONTENT,
    CURRENT,
    FAILURE,
    LEVELS,
    NAME,
    NAMED,
    PARENT,
    TABLES,
    Known,
    by_identity,
    is_used,
    outdated_tags,
    read_run,
    search,
)
from raysweep.tracking.links import description
from raysweep.tracking.of_settings import OfSetting, identity_of, of_settings, put_aside
from raysweep.tracking.planned import PlannedTrial, planned_trials
from raysweep.tracking.user import user
from raysweep.tracking.values import (
    AT_END,
    EXCESSES,
    OF_BARRIERS,
    Value,
    by_step,
    by_width,
    configured,
    contents,
    label,
    parameters,
    trial_words,
)

BATCH = 900  # metrics per request, which with parameters and tags must be at most 1000
WRITERS = 8  # requests to a server at a time; an SQLite database takes one
# Tables that are read, with the columns that are.
READ = {
    "trials": (),
    "metrics": (),
    "barriers": OF_BARRIERS,
    "measures": {"barrier_id", "split", "measure", "part", *EXCESSES},
    "failures": (),
}
# Of the largest tables texts are categories, until the rows of one setting are looked at.
CODED = {"barriers": OF_BARRIERS - {"barrier_id"}, "measures": {"split", "measure", "part"}}
NOTE = "mlflow.note.content"


class Log:
    """An experiment, and what is known to have been logged to it.

    `answers` counts the jobs that were logged, `parent` is the id of the sweep's run once it exists, and
    `deleted` counts the runs of the experiment that are deleted in MLflow.
    """

    def __init__(self, files: Files, sweep: Sweep, uri: str) -> None:
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self._client = MlflowClient(uri)
        self._files, self._sweep = files, sweep
        self._writers = 1 if uri.startswith("sqlite") else WRITERS
        found = find_experiment(self._client, files, sweep.name, uri)
        self.experiment, self.remark = found.experiment, found.remark
        self.answers, self.parent = 0, ""
        there = search(self._client, self.experiment)
        self._runs = {identity: read_run(run) for identity, run in by_identity(there).items()}
        gone = search(self._client, self.experiment, ViewType.DELETED_ONLY)
        self._gone = {identity: read_run(run) for identity, run in by_identity(gone).items()}
        self.deleted = len(gone)
        self._wanted: Desired | None = None
        self._doubled = len(there) > len(self._runs)
        self._datasets = Datasets(sweep)

    def begin(self) -> None:
        """Say that the sweep is at work, also one that had ended before it was extended."""
        parent = self._run("sweep", self._sweep.name, 0, {})
        self.parent = parent.run_id
        self._say(parent, "RUNNING")

    def check_artifacts(self) -> None:
        """Raise whatever keeps MLflow from the place of the artifacts, such as a bucket that is not there."""
        self._client.list_artifacts(self.parent)

    def end(self, status: str) -> None:
        """Say how a run has ended whose work is not over; the trials that it was training are killed."""
        if self.parent:
            self._client.set_terminated(self.parent, status)
            for run in self._client.search_runs([self.experiment], "attributes.status = 'RUNNING'"):
                self._client.set_terminated(run.info.run_id, "KILLED")

    def everything(self, folder: Path, status: str = "RUNNING", curves: Sequence[Row] = ()) -> None:
        """Log what is new in the tables of a folder, and in the `curves` of trials that are being trained.

        The latter are rows of `metrics`; those of levels that the tables have are passed over. The end, which
        has another status than RUNNING, adds the lines by width and the artifacts. These come last, because
        they may go to a server of their own.
        """
        tables = {
            name: read_frame(folder, name, columns, CODED.get(name, ())) for name, columns in READ.items()
        }
        trials, metrics = tables["trials"], tables["metrics"]
        began = int(metrics.time.min() * 1000) if len(metrics) else 0
        ended = int(metrics.time.max() * 1000) if len(metrics) else 0
        counts = {f"raysweep.{name}": str(len(rows)) for name, rows in tables.items()}
        before = len(self._runs)
        parent = self._run("sweep", self._sweep.name, began, {})
        self.parent = parent.run_id
        final = status != "RUNNING"
        if not final:
            self._say(parent, status)
        found = tables["barriers"]
        # Those of the parent come first, because a server fails where two requests name a new data set.
        self._inputs(parent, pd.concat([trials.dataset, found.dataset]))
        named = _named(found, trials)
        settings = self._settings(named, tables.pop("measures"), trials, ended, final)  # frees them
        failed = set(tables["failures"].query("what == 'trial'").id)
        self._each([*self._trials(trials, metrics, failed), *settings])
        logged = {run.failure for run in self._runs.values()}
        told = failed_trials(tables["failures"], trials, logged, self._plan)
        self._each([_job(self._failed, each) for each in told])
        training = _in_training(curves, trials)
        self._each(list(self._training(parent, training, trials)))
        keys = named[["group", "method"]].drop_duplicates().itertuples(index=False)
        shown = {"sweep", *(identity_of(*key) for key in keys)}
        shown |= {f"trial {trial_id}" for trial_id in failed.union(trials.trial_id, training)}
        self._mark(shown | self._unfinished(shown))
        self._parent(parent, counts)
        if self._doubled or len(self._runs) > before:
            self._remove_doubles()
        if final:
            self._end_others(parent)
            self._lines(parent.run_id, list(by_width(named, ended)))
            self._say(parent, status, ended)
            self._artifacts(parent.run_id, folder)

    def _end_others(self, parent: Known) -> None:
        """Say that trials that are not being trained any more, and yet have not ended, were killed."""
        now = int(time.time() * 1000)
        left = [run for run in self._runs.values() if run.status == "RUNNING" and run is not parent]
        self._each([_job(self._say, run, "KILLED", now) for run in left])

    def _each(self, jobs: list[Callable[[], None]]) -> None:
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

    def _known(self, identity: str) -> Known | None:
        """Return the run of an identity, if there is one, restored where it was deleted in MLflow."""
        if identity in self._gone and identity not in self._runs:
            self._client.restore_run(self._gone[identity].run_id)
            self._runs[identity] = self._gone.pop(identity)
            self.deleted -= 1
        return self._runs.get(identity)

    def _run(self, identity: str, name: str, began: int, tags: dict[str, str]) -> Known:
        """Return the run of an identity, made with these tags where there is none."""
        known = self._known(identity)
        if known:
            return known
        own = {"raysweep.id": identity, NAME: name, NAMED: name, "mlflow.user": user()}
        own[CURRENT] = "true"
        parent = {PARENT: self.parent} if self.parent else {}
        made = self._client.create_run(self.experiment, start_time=began, tags=own | parent | tags).info
        run = Known(made.run_id, True, name, made.start_time, parent=self.parent, current="true")
        self._runs[identity] = run
        return run

    def _mark(self, shown: set[str]) -> None:
        """Tell runs of what the tables have from those of earlier versions, and have the sweep's show all."""
        wrong = [
            (run, outdated_tags(run, self.parent, identity in shown)) for identity, run in self._runs.items()
        ]
        self._each([_job(self._tag, run, tags) for run, tags in wrong if tags])

    def _unfinished(self, shown: set[str]) -> set[str]:
        """Return the trials of the sweep whose runs have not ended well, apart from those that are `shown`.

        The tables do not have them, and yet their runs are of the present version of the sweep.
        """
        left = {
            identity
            for identity, run in self._runs.items()
            if identity.startswith("trial ") and run.status != "FINISHED" and identity not in shown
        }
        return left and {f"trial {trial_id}" for trial_id in self._plan().trials} & left

    def _tag(self, run: Known, tags: dict[str, str]) -> None:
        self._client.log_batch(run.run_id, tags=[RunTag(*tag) for tag in tags.items()])
        run.name, run.parent = tags.get(NAME, run.name), tags.get(PARENT, run.parent)
        run.current = tags.get(CURRENT, run.current)

    def _say(self, run: Known, status: str, ended: int = 0) -> None:
        """Log the status of a run and when it ended, which is never before it began."""
        if status != "RUNNING":
            self._client.set_terminated(run.run_id, status, max(ended, run.began))
        elif run.status != status:
            self._client.update_run(run.run_id, status)
        run.status = status

    def _renaming(self, run: Known | None, name: str) -> list[Callable[[], None]]:
        """Return a job where what distinguishes a run from others has changed with the sweep."""
        renamed = {NAME: name, NAMED: name}
        return [_job(self._tag, run, renamed)] if run and run.name not in (None, name) else []

    def _remove_doubles(self) -> None:
        """Delete duplicate runs, which arise when MLflow's client repeats a request to create one.

        They also arise when two drivers log one sweep: then each deletes of its own and the other's the later
        one by id, so that one remains.
        """
        self._doubled = False
        for run in search(self._client, self.experiment):
            ours = self._runs.get(run.data.tags.get("raysweep.id", ""))
            if not ours or ours.run_id == run.info.run_id:
                continue
            if not is_used(run) or ours.run_id < run.info.run_id:
                self._client.delete_run(run.info.run_id)
                self.deleted += 1

    def _plan(self) -> Desired:
        self._wanted = self._wanted or desired(self._sweep)
        return self._wanted

    def _trials(
        self, trials: pd.DataFrame, metrics: pd.DataFrame, failed: set[str]
    ) -> list[Callable[[], None]]:
        """Return a job for each trial with levels that were not logged as they are, or that fails no more."""
        by_trial = dict(list(metrics.groupby("trial_id")))
        jobs: list[Callable[[], None]] = []
        rows = trials.assign(configured=configured(trials, trials), content=contents(trials, metrics))
        for trial_id, levels in rows.groupby("trial_id"):
            known = self._known(f"trial {trial_id}")
            new = levels[levels.content != levels.level.map(known.levels)] if known else levels
            name = label(levels.iloc[0], *trial_words(levels.iloc[0], trials))
            jobs += self._renaming(known, name)
            if not new.empty or (known and known.failure and trial_id not in failed):
                jobs.append(_job(self._trial, str(trial_id), name, levels, new, by_trial[trial_id]))
        return jobs

    def _trial(
        self, trial_id: str, name: str, levels: pd.DataFrame, new: pd.DataFrame, metrics: pd.DataFrame
    ) -> None:
        """Log loss and error by step of each level, and their values at the end of each level by level."""
        tags = {"raysweep.group": levels.iloc[0].group}
        run = self._run(f"trial {trial_id}", name, int(metrics.time.min() * 1000), tags)
        values: list[Value] = []
        for level in new.to_dict("records"):
            rows = metrics[metrics.level == level["level"]]
            values += self._lacking(run, by_step(rows, level["level"]))
            values += self._system(trial_id, level["level"], metrics.time.min())
            if level["level"]:
                end = int(rows.time.max() * 1000)
                values += [(f"end/{name}", level[name], end, level["level"]) for name in AT_END]
        ended = int(metrics.time.max() * 1000)
        logged = dict(zip(levels.level.tolist(), levels.content, strict=True))
        last = {LEVELS: json.dumps(logged)} | ({FAILURE: "", NOTE: ""} if run.failure else {})
        self._log(run, values, parameters(levels), ended, last, levels.dataset)
        run.levels, run.failure = logged, ""
        run.shown.clear()

    def _training(
        self, parent: Known, training: dict[str, pd.DataFrame], trials: pd.DataFrame
    ) -> Iterator[Callable[[], None]]:
        """Yield jobs for trials in training; what the plan says of them is asked for where one begins."""
        known = {trial_id: self._known(f"trial {trial_id}") for trial_id in training}
        planned = {}
        if not all(run and run.params for run in known.values()):
            planned = {each.trial_id: each for each in planned_trials(self._plan(), list(training), trials)}
        for each in planned.values():
            self._inputs(parent, pd.Series([each.dataset]))  # before several requests name a new data set
        for trial_id, rows in training.items():
            if trial_id in planned:
                yield from self._renaming(known[trial_id], planned[trial_id].name)
            if trial_id in planned or known[trial_id]:
                yield _job(self._curve, trial_id, rows, planned.get(trial_id))

    def _curve(self, trial_id: str, rows: pd.DataFrame, planned: PlannedTrial | None) -> None:
        """Log loss and error by step of a level in training."""
        began, params, datasets = int(rows.time.min() * 1000), {}, pd.Series(dtype=object)
        if planned:
            params, datasets = planned.parameters, pd.Series([planned.dataset])
            self._run(f"trial {trial_id}", planned.name, began, {"raysweep.group": planned.group})
        run = self._runs[f"trial {trial_id}"]
        values = self._lacking(run, by_step(rows, int(rows.level.iloc[0])))
        if values or run.status != "RUNNING":
            last = {FAILURE: "", NOTE: ""} if run.failure else {}
            self._log(run, values, params, began, last, datasets, "RUNNING")
            run.failure = ""

    def _lacking(self, run: Known, values: list[Value]) -> list[Value]:
        """Return those values that MLflow does not show yet, and take them for shown.

        A trial that was resumed repeats some steps at other times: MLflow would show these twice.
        """
        for name in {name for name, *_ in values} - run.shown.keys():
            run.shown[name] = self._points(run.run_id, name) if name in run.metrics else {}
            run.metrics.add(name)
        new = [each for each in values if run.shown[each[0]].get(each[3]) != each[1]]
        for name, value, _, step in new:
            run.shown[name][step] = value
        return new

    def _points(self, run: str, name: str) -> dict[int, float]:
        """Return the latest value of a metric at each step."""
        history = self._client.get_metric_history(run, name)
        return {each.step: each.value for each in sorted(history, key=lambda each: each.timestamp)}

    def _failed(self, trial: FailedTrial) -> None:
        """Log that a trial has failed; a run of its levels keeps what it has."""
        planned = trial.planned
        tags = {"raysweep.group": planned.group}
        run = self._run(f"trial {planned.trial_id}", planned.name, trial.ended, tags)
        params = _missing(run, planned.parameters)
        self._say(run, "FAILED", trial.ended)
        last = [RunTag(NOTE, f"```\n{trial.error}\n```"), RunTag(FAILURE, trial.content)]
        self._client.log_batch(run.run_id, params=params, tags=last)
        run.params |= planned.parameters
        run.failure, run.new = trial.content, False

    def _system(self, trial_id: str, level: int, began: float) -> list[Value]:
        """Return the system metrics of a level, if the sweep has them, by the second of the trial."""
        if not self._sweep.sections.tracking.system_metrics:
            return []
        samples = TrialStore(self._files).read_system_use(trial_id, level)
        return [
            (f"system/{name}", value, int(sample["time"] * 1000), int(sample["time"] - began))
            for sample in samples
            for name, value in sample.items()
            if name != "time"
        ]

    def _settings(
        self, named: pd.DataFrame, measured: pd.DataFrame, trials: pd.DataFrame, ended: int, final: bool
    ) -> list[Callable[[], None]]:
        """Return a job for each setting and method whose barriers or measures were not logged as they are.

        Until the end, a run with metrics that are not in the tables waits for them, unless its options are
        others: then they never come.
        """
        jobs: list[Callable[[], None]] = []
        for each in of_settings(named, measured, trials, ended):
            known = self._known(each.identity)
            if known and each.lacks(known) and not (final or each.contradicts(known)):
                continue
            jobs += self._renaming(known, each.name)
            if not known or each.lacks(known) or not each.is_in(known):
                jobs.append(_job(self._setting, each))
        return jobs

    def _put_aside(self, each: OfSetting) -> None:
        """Make way for a new run of a setting where the present one has other options, or metrics too many.

        Where there has been a run with just these values and options, it is the present one again.
        """
        run = self._runs.get(each.identity)
        if run and (each.lacks(run) or each.contradicts(run)):
            self._identify(each.identity, put_aside(each.identity, run.params, run.content, run.metrics))
        if each.identity not in self._runs and self._known(each.put_aside):
            self._identify(each.put_aside, each.identity)

    def _identify(self, before: str, now: str) -> None:
        """Have a run stand for something else than before."""
        run = self._runs[before]
        self._client.set_tag(run.run_id, "raysweep.id", now)
        self._runs[now] = self._runs.pop(before)

    def _setting(self, each: OfSetting) -> None:
        """Log mean and spread of every kind of barrier and of its measures, to compare widths and methods."""
        self._put_aside(each)
        values, ended = each.values, each.values[0][2]
        run = self._run(each.identity, each.name, ended, each.tags)
        if run.content == each.content:  # only parameters are missing
            values = []
        elif not run.new:  # of several values of a step MLflow shows the latest: new ones must be later
            now = int(time.time() * 1000)
            values = [(name, value, now, step) for name, value, _, step in values]
        self._log(run, values, each.parameters, ended, {CONTENT: each.content}, each.datasets)
        run.content = each.content
        run.metrics |= each.metrics

    def _log(
        self,
        run: Known,
        values: list[Value],
        params: dict[str, str],
        ended: int,
        last: dict[str, str],
        datasets: pd.Series,
        status: str = "FINISHED",
    ) -> None:
        """Log metrics, missing parameters and the data sets of a run; then the tags that record this."""
        self._inputs(run, datasets)
        self._say(run, status, ended)
        metrics = [Metric(name, float(value), time, step) for name, value, time, step in values]
        missing = _missing(run, params)
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

    def _inputs(self, run: Known, names: pd.Series) -> None:
        """Log the data sets of a run, once."""
        datasets = [each for name in names.dropna().unique() for each in self._datasets.of(name)]
        if new := [each for each in datasets if each.dataset.digest not in run.inputs]:
            self._client.log_inputs(run.run_id, datasets=new)
            run.inputs |= {each.dataset.digest for each in new}

    def _parent(self, run: Known, counts: dict[str, str]) -> None:
        """Log as tags what changes when a sweep is extended, because parameters are immutable."""
        tags = counts | {TABLES: self._files.where(f"sweeps/{self._sweep.name}")}
        self._client.log_batch(run.run_id, tags=[RunTag(*tag) for tag in tags.items()])
        run.new = False
        note = description(self.experiment, run.run_id)
        if NOTE not in self._client.get_experiment(self.experiment).tags:  # which a user may have written
            self._client.set_experiment_tag(self.experiment, NOTE, note)
        if NOTE not in self._client.get_run(run.run_id).data.tags:
            self._client.set_tag(run.run_id, NOTE, note)

    def _artifacts(self, run: str, folder: Path) -> None:
        self._client.log_artifact(run, str(folder / "sweep.yaml"))
        if (folder / "figures").exists():
            self._client.log_artifacts(run, str(folder / "figures"), "figures")

    def _lines(self, run: str, values: list[Value]) -> None:
        """Log those points of the lines by width that MLflow does not show yet."""
        shown = {name: self._points(run, name) for name in {name for name, *_ in values}}
        later = int(time.time() * 1000)
        new = [
            Metric(name, float(value), later if step in shown[name] else ended, step)
            for name, value, ended, step in values
            if shown[name].get(step) != float(value)
        ]
        for start in range(0, len(new), BATCH):
            self._client.log_batch(run, metrics=new[start : start + BATCH])


def _in_training(curves: Sequence[Row], trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of each trial whose present level the table `trials` does not have."""
    if not curves:
        return {}
    finished = set(zip(trials.trial_id, trials.level, strict=True))
    rows = pd.DataFrame(list(curves))
    new = [key not in finished for key in zip(rows.trial_id, rows.level, strict=True)]
    return {str(trial_id): found for trial_id, found in rows[new].groupby("trial_id")}


def _named(found: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `barriers` with the method, which is not null, and words for the setting of each."""
    method = found.method.cat.add_categories("unaligned").fillna("unaligned")
    some = decoded(found[["networks", "group", "norm"]].drop_duplicates(["networks", "group"]))
    words = dict(zip(zip(some.networks, some.group, strict=True), configured(some, trials), strict=True))
    each = [words[key] for key in zip(found.networks, found.group, strict=True)]
    return found.assign(method=method, configured=pd.Categorical(each))


def _missing(run: Known, params: dict[str, str]) -> list[Param]:
    """Return the parameters that a run lacks, because those that it has cannot be changed."""
    return [Param(key, value) for key, value in params.items() if key not in run.params]


def _job(act: Callable[..., None], *arguments: Any) -> Callable[[], None]:
    return lambda: act(*arguments)
