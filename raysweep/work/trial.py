"""Trains one trial, level by level, and writes its trajectory to the store; resumable at every step."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch

from raysweep.accelerator.environment import continued, environment
from raysweep.data.resident import Resident
from raysweep.models.config import ModelConfig
from raysweep.models.precision import Numerics
from raysweep.models.versions import load_state
from raysweep.plan.identity import Trial, trial_config
from raysweep.plan.trials import Extent
from raysweep.pruning import sparsity
from raysweep.store.records import REPLACED, LevelRecord, Metric
from raysweep.store.results import ResultStore
from raysweep.store.resume import ResumePoint
from raysweep.store.trials import TrialStore
from raysweep.sweep.train import Training
from raysweep.training.evaluation import Risk
from raysweep.training.hyperparameters import Hyperparameters
from raysweep.training.loop import Diverged, TrainingRun
from raysweep.training.schedule import Schedule
from raysweep.vocabulary import Way
from raysweep.work.data import model_config
from raysweep.work.device import keep_freed_memory, make_deterministic, ways_on
from raysweep.work.inputs import Inputs, TrialTask
from raysweep.work.metrics import Metrics, SharedMetrics
from raysweep.work.provenance import provenance

STRIDE = 50  # steps between two checks of the time; it affects no number

Report = Callable[[int, LevelRecord], None]


class Interrupted(Exception):
    """The run is interrupted; the trial has noted a resume point."""


def run_trial(
    task: TrialTask,
    data: Resident,
    store: TrialStore,
    results: ResultStore,
    resume_seconds: float,
    report: Report = lambda level, record: None,
    stops: Callable[[], bool] = lambda: False,
) -> Iterator[int | None]:
    """Train and commit every level that is missing, and yield the number of each level once it is stored.

    In between it yields None whenever it has queued steps on the device, so that other trials of the process
    can do the same. `report` is called with the level and its record after every evaluation. A killed trial
    resumes from its last resume point or its last level, and its results are bitwise the same. Raises
    `Diverged` when a loss is not finite, and `Interrupted`, with a new resume point, once `stops` returns
    True.
    """
    trial, extent = task.trial, task.extent
    make_deterministic(trial.training.threads)
    keep_freed_memory()
    store.write_config(trial.trial_id, trial_config(trial))
    config = model_config(trial.training, data)
    point = store.read_resume(trial.trial_id)
    for level in extent.levels:
        record = store.record(trial.trial_id, level)
        inputs = Inputs(task, config, store, results)
        complete = record and record.has(extent.checkpoints, extent.optimisers)
        if not (record and complete and inputs.fit(record.inputs)):
            wider = _with_all_of(extent, record)
            usable = point if point and point.level == level and _complete(point, wider) else None
            usable = usable if usable and inputs.fit(usable.record.inputs) else None
            own = replace(task, extent=wider)
            yield from _Level(own, level, data, store, resume_seconds, report, stops).run(inputs, usable)
        yield level
    store.drop_resume(trial.trial_id)


def _with_all_of(extent: Extent, record: LevelRecord | None) -> Extent:
    """Return the extent with all that a level has stored: bits may differ now, and are replaced together."""
    if record is None:
        return extent
    return replace(
        extent,
        checkpoints=tuple(sorted({*extent.checkpoints, *record.checkpoints})),
        optimisers=tuple(sorted({*extent.optimisers, *record.optimisers})),
    )


def _complete(point: ResumePoint, extent: Extent) -> bool:
    """Whether everything that the extent asks for up to the resume point is stored."""
    return point.record.has(
        [step for step in extent.checkpoints if step <= point.step],
        [step for step in extent.optimisers if step <= point.step],
    )


class _Level:
    """Trains one level from its start, or from a resume point, to its commit."""

    def __init__(
        self,
        task: TrialTask,
        level: int,
        data: Resident,
        store: TrialStore,
        resume_seconds: float,
        report: Report,
        stops: Callable[[], bool],
    ) -> None:
        self._trial, self._extent, self._level = task.trial, task.extent, level
        self._driver = task.driver
        self._data, self._store, self._report, self._stops = data, store, report, stops
        self._resume_seconds, self._saved = resume_seconds, time.monotonic()

    def run(self, inputs: Inputs, point: ResumePoint | None) -> Iterator[None]:
        trial, extent = self._trial, self._extent
        began = time.monotonic()  # a clock that is set meanwhile changes no duration
        masks = inputs.masks(self._level)
        model = inputs.model()
        if point:
            load_state(model, point.state)
        model.to(self._data.device)
        if trial.training.channels_last:
            model.to(memory_format=torch.channels_last)
        metrics = metrics_of(trial.training, inputs.config, self._data)
        run = TrainingRun(
            model,
            self._data,
            hyperparameters(trial, extent, self._level),
            point.step if point else extent.start,
            masks,
            point.optimiser if point else inputs.optimiser(),
            ways_of(trial.training),
            inputs.template(),
        )
        record = point.record if point else LevelRecord(extent.total)
        # A process that goes on from a resume point has not read all that the first one has.
        record = replace(record, inputs=tuple(dict.fromkeys((*record.inputs, *inputs.noted))))
        if masks and not point:
            written = self._store.write_mask(trial.trial_id, self._level, masks)
            record = replace(record, mask=written, sparsity=sparsity(masks))
        began -= record.seconds
        record = yield from self._train(run, metrics, record, began, resumed=point is not None)
        self._commit(self._with_environment(run, record))

    def _with_environment(self, run: TrainingRun, record: LevelRecord) -> LevelRecord:
        """Add to the record where this process runs, and how it takes its steps."""
        device = self._trial.training.device
        found = self._store.note_provenance(provenance(device, self._driver))
        now = {**environment(device), "steps": run.way, "provenance": found}
        if run.fallback:
            now["fallback"] = run.fallback
        return replace(record, environment=continued(record.environment, now))

    def _commit(self, record: LevelRecord) -> None:
        """Commit the level with all earlier checkpoints, even those that another sweep adds meanwhile.

        Where they have other bits, because the level was trained on another kind of machine, they are of
        another training, which this one replaces and never completes.
        """
        level = (self._trial.trial_id, self._level)
        found = self._store.record(*level)
        if found and found.contradicts(record):
            before = found.environment.get("provenance", "unknown")
            record = replace(record, environment={**record.environment, REPLACED: before})
        while True:
            if found and not found.contradicts(record):
                record = replace(
                    record,
                    metrics=_merged(found.metrics, record.metrics),
                    checkpoints={**found.checkpoints, **record.checkpoints},
                    optimisers={**found.optimisers, **record.optimisers},
                )
            self._store.commit(*level, record)
            found = self._store.record(*level)
            if not found or found.contradicts(record) or found.has(record.checkpoints, record.optimisers):
                return

    def _train(
        self, run: TrainingRun, metrics: Metrics, record: LevelRecord, began: float, resumed: bool
    ) -> Generator[None, None, LevelRecord]:
        extent = self._extent
        epochs = range(
            -(-run.step // extent.per_epoch) * extent.per_epoch, extent.total + 1, extent.per_epoch
        )
        stops = {*epochs, *extent.checkpoints, *extent.optimisers, extent.start, extent.total}
        for stop in sorted(step for step in stops if step > run.step or (step == run.step and not resumed)):
            while run.step < stop:
                run.begin(min(stop, run.step + STRIDE))
                yield
                run.check(but=1)  # the device takes these steps while the next ones are prepared
                if run.step < stop:
                    self._keep(run, replace(record, seconds=time.monotonic() - began))
            metrics.start(run)
            yield
            run.check()
            record = replace(self._stop(run, metrics.risks(), record), seconds=time.monotonic() - began)
            self._report(self._level, record)
            if run.step < extent.total:
                self._keep(run, record)
        return record

    def _stop(self, run: TrainingRun, risks: dict[str, Risk], record: LevelRecord) -> LevelRecord:
        """Store what the extent asks for at this step, and add the risks of the network."""
        trial, step, metrics = self._trial, run.step, []
        for name, risk in risks.items():
            if not np.isfinite(risk.loss):
                rate = trial.training.learning_rate
                raise Diverged(f"the {name} loss is {risk.loss} at step {step}, peak learning rate {rate:g}")
            epoch = step / self._extent.per_epoch
            metrics.append(Metric(step, epoch, name, risk.loss, risk.error, time.time()))
        record = replace(record, metrics=(*record.metrics, *metrics))
        position = (trial.trial_id, self._level, step)
        if step in self._extent.checkpoints:
            written = self._store.write_checkpoint(*position, run.model.state_dict())
            record = replace(record, checkpoints={**record.checkpoints, step: written})
        if step in self._extent.optimisers:
            written = self._store.write_optimiser(*position, run.optimiser_state())
            record = replace(record, optimisers={**record.optimisers, step: written})
        return record

    def _keep(self, run: TrainingRun, record: LevelRecord) -> None:
        """Note a resume point when it is time, or when the run is interrupted. Raises `Interrupted`."""
        stops = self._stops()
        if stops or time.monotonic() - self._saved >= self._resume_seconds:
            self._save(run, record)
            self._saved = time.monotonic()
        if stops:
            raise Interrupted

    def _save(self, run: TrainingRun, record: LevelRecord) -> None:
        run.check()
        noted = self._with_environment(run, record)
        point = ResumePoint(self._level, run.step, noted, run.model.state_dict(), run.optimiser_state())
        self._store.write_resume(self._trial.trial_id, point)


def ways_of(training: Training) -> tuple[Way, ...]:
    """Return the ways in which the steps of a trial may be taken, the best first."""
    return ways_on(training.device, training.compile, training.model)


def metrics_of(training: Training, config: ModelConfig, data: Resident) -> Metrics:
    """Return what evaluates a trial's network while it is trained."""
    if training.device == "cpu":
        return Metrics(data)
    numerics = Numerics(training.precision, ways_of(training))
    return SharedMetrics(config, data, numerics, training.channels_last)


def _merged(before: Iterable[Metric], now: Iterable[Metric]) -> tuple[Metric, ...]:
    """Merge evaluations by step and split; those of `now` replace earlier ones."""
    found = {(metric.step, metric.split): metric for metric in (*before, *now)}
    return tuple(sorted(found.values(), key=lambda metric: metric.step))


def hyperparameters(trial: Trial, extent: Extent, level: int) -> Hyperparameters:
    """Return the hyperparameters of a level, with moments of training resolved to steps.

    A spawned run draws its own data order from its start on, as do the levels and branches of its chain. A
    chain with `data_order: new` draws a new order for each level. Augmentation and dropout follow the order.
    """
    training = trial.training
    order = " spawned" if trial.spawned else ""
    if trial.prune is not None and trial.prune.renews_order:
        order = f" level {level}"
    return Hyperparameters(
        batch_size=training.batch_size,
        optimiser=training.optimiser,
        momentum=training.momentum,
        nesterov=training.nesterov,
        weight_decay=training.weight_decay,
        schedule=Schedule(
            training.schedule,
            training.learning_rate,
            extent.total,
            tuple(moment.step(extent.per_epoch) for moment in training.milestones),
            training.gamma,
            training.warmup.step(extent.per_epoch),
            extent.per_epoch,
            training.schedule_options,
        ),
        data_seed=trial.data_seed,
        order=order,
        augment=training.augment,
        augment_options=training.augment_options,
        precision=training.precision,
        channels_last=training.channels_last,
        drop_last=training.drop_last,
        optimiser_options=training.optimiser_options,
    )
