"""Logs a sweep to MLflow as a parent run, a child run per trial, and a child run per setting and method.

Existing runs are found by the tag `raysweep.id`, and what has been logged by further tags, which are set
last. So logging again changes nothing, and logging more adds what is new.
"""

import logging
import time
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import pandas as pd
from mlflow.entities import Metric, RunTag
from mlflow.tracking import MlflowClient

from raysweep.plan.desired import desired
from raysweep.store.files import Files
from raysweep.sweep.load import Sweep
from raysweep.tables.frames import decoded, read_frame
from raysweep.tables.rows import Row
from raysweep.tracking.experiment import find_experiment
from raysweep.tracking.known_runs import CONTENT, NOTE, TABLES, KnownRun
from raysweep.tracking.links import description
from raysweep.tracking.of_settings import OfSetting, identity_of, of_settings, put_aside
from raysweep.tracking.runs import BATCH, Job, Runs
from raysweep.tracking.trial_log import TrialLog, in_training
from raysweep.tracking.values import EXCESSES, OF_BARRIERS, Value, by_width, configured

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


class Log:
    """An experiment, whose `runs` are logged to; `remark` says what is unusual about it."""

    def __init__(self, files: Files, sweep: Sweep, uri: str) -> None:
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self._client = MlflowClient(uri)
        self._files, self._sweep = files, sweep
        found = find_experiment(self._client, files, sweep.name, uri)
        self.experiment, self.remark = found.experiment, found.remark
        self.runs = Runs(self._client, uri, self.experiment, sweep)
        self._plan = cache(lambda: desired(sweep))
        self._trials = TrialLog(self.runs, self._plan, files, sweep)

    def begin(self) -> None:
        """Say that the sweep is at work, also one that had ended before it was extended."""
        self.runs.say(self._sweep_run(0), "RUNNING")

    def _sweep_run(self, began: int) -> KnownRun:
        run = self.runs.ensure("sweep", self._sweep.name, began, {})
        self.runs.parent = run.run_id
        return run

    def check_artifacts(self) -> None:
        """Raise whatever keeps MLflow from the place of the artifacts, such as a bucket that is not there."""
        self._client.list_artifacts(self.runs.parent)

    def end(self, status: str) -> None:
        """Say how a run has ended whose work is not over; the trials that it was training are killed."""
        if self.runs.parent:
            self._client.set_terminated(self.runs.parent, status)
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
        before = len(self.runs.by_identity)
        parent = self._sweep_run(began)
        final = status != "RUNNING"
        if not final:
            self.runs.say(parent, status)
        found = tables["barriers"]
        # Those of the parent come first, because a server fails where two requests name a new data set.
        self.runs.add_inputs(parent, pd.concat([trials.dataset, found.dataset]))
        named = _named(found, trials)
        settings = self._settings(named, tables.pop("measures"), trials, ended, final)  # frees them
        failed = set(tables["failures"].query("what == 'trial'").id)
        self.runs.each([*self._trials.ended(trials, metrics, failed), *settings])
        self.runs.each(self._trials.failed(tables["failures"], trials))
        training = in_training(curves, trials)
        self.runs.each(list(self._trials.training(parent, training, trials)))
        keys = named[["group", "method"]].drop_duplicates().itertuples(index=False)
        shown = {"sweep", *(identity_of(*key) for key in keys)}
        shown |= {f"trial {trial_id}" for trial_id in failed.union(trials.trial_id, training)}
        self.runs.mark(shown | self._unfinished(shown))
        self._parent(parent, counts)
        self.runs.remove_doubles(before)
        if final:
            self.runs.end_others(parent)
            self._lines(parent.run_id, list(by_width(named, ended)))
            self.runs.say(parent, status, ended)
            self._artifacts(parent.run_id, folder)

    def _unfinished(self, shown: set[str]) -> set[str]:
        """Return the trials of the sweep whose runs have not ended well, apart from those that are `shown`.

        The tables do not have them, and yet their runs are of the present version of the sweep.
        """
        left = {
            identity
            for identity, run in self.runs.by_identity.items()
            if identity.startswith("trial ") and run.status != "FINISHED" and identity not in shown
        }
        return left and {f"trial {trial_id}" for trial_id in self._plan().trials} & left

    def _settings(
        self, named: pd.DataFrame, measured: pd.DataFrame, trials: pd.DataFrame, ended: int, final: bool
    ) -> list[Job]:
        """Return a job for each setting and method whose barriers or measures were not logged as they are.

        Until the end, a run with metrics that are not in the tables waits for them, unless its options are
        others: then they never come.
        """
        jobs: list[Job] = []
        for each in of_settings(named, measured, trials, ended):
            known = self.runs.known(each.identity)
            if known and each.lacks(known) and not (final or each.contradicts(known)):
                continue
            jobs += self.runs.renaming(known, each.name)
            if not known or each.lacks(known) or not each.is_in(known):
                jobs.append(partial(self._setting, each))
        return jobs

    def _put_aside(self, each: OfSetting) -> None:
        """Make way for a new run of a setting where the present one has other options, or metrics too many.

        Where there has been a run with just these values and options, it is the present one again.
        """
        run = self.runs.by_identity.get(each.identity)
        if run and (each.lacks(run) or each.contradicts(run)):
            self.runs.identify(each.identity, put_aside(each.identity, run.params, run.content, run.metrics))
        if each.identity not in self.runs.by_identity and self.runs.known(each.put_aside):
            self.runs.identify(each.put_aside, each.identity)

    def _setting(self, each: OfSetting) -> None:
        """Log mean and spread of every kind of barrier and of its measures, to compare widths and methods."""
        self._put_aside(each)
        values, ended = each.values, each.values[0][2]
        run = self.runs.ensure(each.identity, each.name, ended, each.tags)
        if run.content == each.content:  # only parameters are missing
            values = []
        elif not run.new:  # of several values of a step MLflow shows the latest: new ones must be later
            now = int(time.time() * 1000)
            values = [(name, value, now, step) for name, value, _, step in values]
        self.runs.log(run, values, each.parameters, ended, {CONTENT: each.content}, each.datasets)
        run.content = each.content
        run.metrics |= each.metrics

    def _parent(self, run: KnownRun, counts: dict[str, str]) -> None:
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
        shown = {name: self.runs.points(run, name) for name in {name for name, *_ in values}}
        later = int(time.time() * 1000)
        new = [
            Metric(name, float(value), later if step in shown[name] else ended, step)
            for name, value, ended, step in values
            if shown[name].get(step) != float(value)
        ]
        for start in range(0, len(new), BATCH):
            self._client.log_batch(run, metrics=new[start : start + BATCH])


def _named(found: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `barriers` with the method, which is not null, and words for the setting of each."""
    method = found.method.cat.add_categories("unaligned").fillna("unaligned")
    some = decoded(found[["networks", "group", "norm"]].drop_duplicates(["networks", "group"]))
    words = dict(zip(zip(some.networks, some.group, strict=True), configured(some, trials), strict=True))
    each = [words[key] for key in zip(found.networks, found.group, strict=True)]
    return found.assign(method=method, configured=pd.Categorical(each))
