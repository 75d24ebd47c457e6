"""Logs trials: those with levels that have ended, those in training, and those that have failed."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pandas as pd

from raysweep.plan.desired import Desired
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import Sweep
from raysweep.tables.rows import Row
from raysweep.tracking.failed import FailedTrial, failed_trials
from raysweep.tracking.known_runs import FAILURE, LEVELS, NOTE, KnownRun
from raysweep.tracking.planned import PlannedTrial, planned_trials
from raysweep.tracking.runs import Job, Runs
from raysweep.tracking.values import (
    AT_END,
    Value,
    by_step,
    configured,
    contents,
    label,
    parameters,
    trial_words,
)


class TrialLog:
    """Finds what the runs of trials lack; `plan` is called where the tables do not say what a trial is."""

    def __init__(self, runs: Runs, plan: Callable[[], Desired], files: Files, sweep: Sweep) -> None:
        self._runs, self._plan = runs, plan
        self._files, self._sweep = files, sweep

    def ended(self, trials: pd.DataFrame, metrics: pd.DataFrame, failed: set[str]) -> list[Job]:
        """Return a job for each trial that has levels not logged as they are, or that no longer fails."""
        by_trial = dict(list(metrics.groupby("trial_id")))
        jobs: list[Job] = []
        rows = trials.assign(configured=configured(trials, trials), content=contents(trials, metrics))
        for trial_id, levels in rows.groupby("trial_id"):
            known = self._runs.known(f"trial {trial_id}")
            new = levels[levels.content != levels.level.map(known.levels)] if known else levels
            name = label(levels.iloc[0], *trial_words(levels.iloc[0], trials))
            jobs += self._runs.renaming(known, name)
            if not new.empty or (known and known.failure and trial_id not in failed):
                jobs.append(partial(self._ended, str(trial_id), name, levels, new, by_trial[trial_id]))
        return jobs

    def _ended(
        self, trial_id: str, name: str, levels: pd.DataFrame, new: pd.DataFrame, metrics: pd.DataFrame
    ) -> None:
        """Log loss and error by step of each level, and their values at the end of each level by level."""
        tags = {"raysweep.group": levels.iloc[0].group}
        run = self._runs.ensure(f"trial {trial_id}", name, int(metrics.time.min() * 1000), tags)
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
        self._runs.log(run, values, parameters(levels), ended, last, levels.dataset)
        run.levels, run.failure = logged, ""
        run.shown.clear()

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

    def training(
        self, parent: KnownRun, training: dict[str, pd.DataFrame], trials: pd.DataFrame
    ) -> Iterator[Job]:
        """Yield jobs for trials in training; what the plan says of them is asked for where one begins."""
        known = {trial_id: self._runs.known(f"trial {trial_id}") for trial_id in training}
        planned = {}
        if not all(run and run.params for run in known.values()):
            planned = {each.trial_id: each for each in planned_trials(self._plan(), list(training), trials)}
        for each in planned.values():
            # Before any other run, because a server fails where two requests name a new data set.
            self._runs.add_inputs(parent, pd.Series([each.dataset]))
        for trial_id, rows in training.items():
            if trial_id in planned:
                yield from self._runs.renaming(known[trial_id], planned[trial_id].name)
            if trial_id in planned or known[trial_id]:
                yield partial(self._curve, trial_id, rows, planned.get(trial_id))

    def _curve(self, trial_id: str, rows: pd.DataFrame, planned: PlannedTrial | None) -> None:
        """Log loss and error by step of a level in training."""
        began, params, datasets = int(rows.time.min() * 1000), {}, pd.Series(dtype=object)
        if planned:
            params, datasets = planned.parameters, pd.Series([planned.dataset])
            self._runs.ensure(f"trial {trial_id}", planned.name, began, {"raysweep.group": planned.group})
        run = self._runs.by_identity[f"trial {trial_id}"]
        values = self._lacking(run, by_step(rows, int(rows.level.iloc[0])))
        if values or run.status != "RUNNING":
            last = {FAILURE: "", NOTE: ""} if run.failure else {}
            self._runs.log(run, values, params, began, last, datasets, "RUNNING")
            run.failure = ""

    def _lacking(self, run: KnownRun, values: list[Value]) -> list[Value]:
        """Return those values that MLflow does not show yet, and take them for shown.

        A trial that was resumed repeats some steps at other times: MLflow would show these twice.
        """
        for name in {name for name, *_ in values} - run.shown.keys():
            run.shown[name] = self._runs.points(run.run_id, name) if name in run.metrics else {}
            run.metrics.add(name)
        new = [each for each in values if run.shown[each[0]].get(each[3]) != each[1]]
        for name, value, _, step in new:
            run.shown[name][step] = value
        return new

    def failed(self, failures: pd.DataFrame, trials: pd.DataFrame) -> list[Job]:
        """Return a job for each trial that has failed in a way that was not logged."""
        logged = {run.failure for run in self._runs.by_identity.values()}
        return [partial(self._failed, each) for each in failed_trials(failures, trials, logged, self._plan)]

    def _failed(self, trial: FailedTrial) -> None:
        """Log that a trial has failed; a run of its levels keeps what it has."""
        planned = trial.planned
        tags = {"raysweep.group": planned.group}
        run = self._runs.ensure(f"trial {planned.trial_id}", planned.name, trial.ended, tags)
        last = {NOTE: f"```\n{trial.error}\n```", FAILURE: trial.content}
        self._runs.log(run, [], planned.parameters, trial.ended, last, status="FAILED")
        run.failure = trial.content


def in_training(curves: Sequence[Row], trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of each trial whose present level the table `trials` does not have."""
    if not curves:
        return {}
    finished = set(zip(trials.trial_id, trials.level, strict=True))
    rows = pd.DataFrame(list(curves))
    new = [key not in finished for key in zip(rows.trial_id, rows.level, strict=True)]
    return {str(trial_id): found for trial_id, found in rows[new].groupby("trial_id")}
