"""The plan: everything that a sweep asks for, minus what the store has."""

import contextlib
import gc
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial, reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raysweep.plan.across import AcrossSettings
from raysweep.plan.barrier_table import Barriers, Measurements
from raysweep.plan.barriers_left import BarriersLeft
from raysweep.plan.candidates import Candidates
from raysweep.plan.comparisons import Comparisons
from raysweep.plan.fitting import Rows, fitting_rows, outdated_levels
from raysweep.plan.identity import (
    AgreementJob,
    AlignmentJob,
    Network,
    Trial,
    alignment_settings,
)
from raysweep.plan.levels import Levels
from raysweep.plan.lost import lost_by
from raysweep.plan.own_methods import check_own_methods
from raysweep.plan.probes import check_statistics, has_running_statistics
from raysweep.plan.trajectories import Trajectories
from raysweep.plan.trials import Extent, Trials
from raysweep.registry import OwnFunction, is_own
from raysweep.store.divergence import Divergence, divergences
from raysweep.store.files import Files
from raysweep.store.ids import Ids, pack_column
from raysweep.store.index import last_objects
from raysweep.store.records import LevelRecord
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import Sweep
from raysweep.sweep.measures import MEASURES


@dataclass(frozen=True)
class Desired:
    """All that a sweep asks for, by id and in a fixed order."""

    sweep: Sweep
    trials: dict[str, Trial]
    extents: dict[str, Extent]
    alignments: dict[str, AlignmentJob]
    barriers: Barriers
    agreements: dict[str, AgreementJob]

    def counts(self) -> dict[str, int]:
        """Return the numbers of all trials, alignments and barriers, and of measurements, if any."""
        counts = {
            "trials": len(self.trials),
            "alignments": len(self.alignments),
            "barriers": len(self.barriers),
        }
        return counts | ({"measures": len(self.measurements)} if self.measurements else {})

    def planned_sources(self) -> Iterator[tuple[OwnFunction, str]]:
        """Yield the user's functions, some of them repeatedly, and the SHA-256 of their files in ids."""
        for trial in self.trials.values():
            for key, own in trial.training.own_functions().items():
                yield own, trial.sources[key]
        align = self.sweep.sections.align
        for own in align.own_functions():
            yield own, align.sources[own.name]
        for measure in self.barriers.measures:
            if measure.source:
                yield MEASURES.own_function(measure.name), measure.source

    @cached_property
    def measurements(self) -> Measurements:
        """The barrier and the name of the measure of every measurement, by its id."""
        return Measurements(self.barriers)

    @cached_property
    def align_settings(self) -> dict[str, dict[str, Any]]:
        """The settings of `align` that determine an alignment, by method."""
        align = self.sweep.sections.align
        found: dict[str, dict[str, Any]] = {m: alignment_settings(m, align) for m in align.methods}
        for settings in found.values():
            settings.pop("version", None)  # of the code, which only ids need
        return found


@dataclass(frozen=True)
class Done:
    """What the store holds: records of finished levels, the object of each alignment, and complete barriers.

    A barrier is complete when all its splits are there, and so is a measurement, in `measures`. The levels in
    `stale` are finished but lack a checkpoint that the sweep asks for, or are `outdated`: they started from
    objects that have other bits now, whose names these are. The trials in `diverged` have
    unfinished levels that never will be. `rows` are the committed rows by kind: only those that fit what is
    stored now count as done. Of the alignments and barriers in `unfit` there are only others,
    or of measures of them. All barriers with committed rows are among the `candidates`. `published` is the
    version of the tables' manifest before anything was looked up.
    """

    records: dict[tuple[str, int], LevelRecord]
    stale: dict[tuple[str, int], LevelRecord]
    alignments: dict[str, str]
    barriers: Ids = field(default_factory=Ids.of)
    measures: Ids = field(default_factory=Ids.of)
    diverged: dict[str, Divergence] = field(default_factory=dict)
    rows: dict[str, Rows] = field(default_factory=dict)
    unfit: frozenset[str] = frozenset()
    outdated: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    candidates: Candidates = field(default_factory=Candidates.none)
    published: str | None = None

    def has(self, networks: Iterable[Network]) -> bool:
        """Whether these checkpoints can be read."""
        return all((network.trial_id, network.level) in self.records for network in networks)


UNFIT = (
    "alignments and barriers are computed again, because checkpoints or permutations that they were computed "
    "from have been replaced by others"
)


@dataclass(frozen=True)
class Todo:
    """Desired minus done; `recomputed` counts the finished levels that are computed once more.

    Those that are `outdated` are not among them, but here by themselves, as in `Done`.
    Of the alignments and barriers in `unfit` there are results, but from other checkpoints or permutations.
    Trials that have diverged are not to do. Neither is what requires them, which `lost` lists by id: its kind
    and in words why.
    """

    trials: list[Trial]
    alignments: list[AlignmentJob]
    barriers: BarriersLeft
    recomputed: int
    diverged: dict[str, Divergence] = field(default_factory=dict)
    lost: dict[str, tuple[str, str]] = field(default_factory=dict)
    unfit: frozenset[str] = frozenset()
    outdated: dict[tuple[str, int], list[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.trials or self.alignments or self.barriers)

    def counts(self) -> dict[str, int]:
        """Return the numbers of trials, alignments, barriers and measurements that are left."""
        return {
            "trials": len(self.trials),
            "alignments": len(self.alignments),
            "barriers": self.barriers.risks,
            "measures": self.barriers.measured().total(),
        }

    def stages(self) -> dict[str, int]:
        """Return the number of jobs that each stage of a run has left; stages without work are left out."""
        stages = {
            "training": len(self.trials),
            "alignments": len(self.alignments),
            "barriers": len(self.barriers),
        }
        return {stage: count for stage, count in stages.items() if count}


def desired(sweep: Sweep) -> Desired:
    """List every trial, alignment and barrier of a sweep.

    Raises `UserError` for missing data and for moments, layers or levels that training does not have.
    """
    with _keeping_all():
        return _desired(sweep)


@contextlib.contextmanager
def _keeping_all() -> Iterator[None]:
    """Pauses garbage collection, which would search a million new objects many times although all stay."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _desired(sweep: Sweep) -> Desired:
    sections = sweep.sections
    check_own_methods(sections.align, sections.compare)
    trials, comparisons = Trials(sweep), Comparisons(sections.align, sections.compare)
    families = [trials.family(training) for training in sweep.trainings]
    for family in families:
        model = trials.model(family.dense[0])
        settings = {trial.setting for alike in (family.dense, *family.chains) for trial in alike}
        check_statistics(model, tuple(sections.compare.statistics))
        if has_running_statistics(model):
            comparisons.batchnorm |= settings
        if is_own(model.model):
            comparisons.own |= settings
        comparisons.replicates(family.dense[0].setting, [trials.end(trial) for trial in family.dense])
        if sections.compare.trajectory:
            Trajectories(sections, trials, comparisons).compare(family)
        for chains in family.chains:
            levels = Levels(sections, trials, comparisons, chains)
            levels.compare()
            levels.branches()
    AcrossSettings(sections, trials, comparisons).compare(families)
    return Desired(
        sweep,
        trials.trials,
        trials.extents,
        comparisons.alignments,
        comparisons.barriers(),
        comparisons.agreements,
    )


def manifest_name(sweep: str) -> str:
    """Return the name of the object that says what the tables of a sweep were made from."""
    return f"sweeps/{sweep}/published.json"


def done(wanted: Desired, files: Files) -> Done:
    """Return what the store already holds of a sweep."""
    published = files.version(manifest_name(wanted.sweep.name))
    records, stale = finished_levels(TrialStore(files), wanted.sweep.name, wanted.extents)
    rows = fitting_rows(ResultStore(files), records | stale)
    outdated = outdated_levels(records | stale, rows)
    stale |= {level: records.pop(level) for level in outdated if level in records}
    alignments, splits = rows["alignments"], wanted.sweep.sections.compare.splits
    unfit = [identity for kind in rows.values() for identity in kind.unfit_ids().to_pylist()]
    names = np.union1d(rows["barriers"].names, rows["measures"].names)
    candidates = Candidates.of(wanted.barriers, names)
    measurements = Measurements(candidates.barriers)
    measured = {measurements[key][0].barrier_id for key in unfit if key in measurements}
    unfinished = {
        key for key, extent in wanted.extents.items() if any((key, n) not in records for n in extent.levels)
    }
    return Done(
        records,
        stale,
        last_objects(alignments.objects, alignments.fitting, wanted.alignments),
        candidates.barriers.ids.among(complete(rows["barriers"].fitting, splits)),
        measurements.ids.among(complete(rows["measures"].fitting, splits)),
        divergences(files, unfinished) if unfinished else {},
        rows,
        frozenset(key for key in unfit if key in wanted.alignments or key in candidates.barriers) | measured,
        outdated,
        candidates,
        published,
    )


def finished_levels(
    store: TrialStore, sweep: str, extents: Mapping[str, Extent]
) -> tuple[dict[tuple[str, int], LevelRecord], dict[tuple[str, int], LevelRecord]]:
    """Return the records of a sweep's finished levels, and of those that lack a checkpoint."""
    levels = ((key, level) for key, extent in extents.items() for level in extent.levels)
    found = store.records(levels, sweep)
    records, stale = {}, {}
    for (trial_id, level), record in found.items():
        extent = extents[trial_id]
        if record.has(extent.checkpoints, extent.optimisers):
            records[trial_id, level] = record
        else:
            stale[trial_id, level] = record
    return records, stale


def complete(rows: pa.Table, splits: Iterable[str]) -> Ids:
    """Return the ids of the barriers, or measurements, all of whose splits are among rows of an index."""
    ids, split = pack_column(rows.column("id")), rows.column("split")
    found = [np.unique(ids[pc.equal(split, each).to_numpy()]) for each in set(splits)]
    return Ids(reduce(partial(np.intersect1d, assume_unique=True), found) if found else ids[:0])


def finished(wanted: Desired, present: Done, trial_id: str) -> bool:
    """Whether all levels of a trial are done."""
    return all((trial_id, level) in present.records for level in wanted.extents[trial_id].levels)


def todo(wanted: Desired, present: Done) -> Todo:
    """Return the work still to do, in the order of the plan.

    An alignment that is missing is work even where all its barriers are done, because its row belongs to the
    tables.
    """
    trials = {key: each for key, each in wanted.trials.items() if not finished(wanted, present, key)}
    alignments = {key: job for key, job in wanted.alignments.items() if key not in present.alignments}
    barriers = BarriersLeft.of(wanted.barriers, present.candidates, present.barriers, present.measures)
    lost = lost_by(wanted, present, trials, alignments, barriers) if present.diverged else {}
    gone = lost.keys() | present.diverged.keys()
    return Todo(
        [each for key, each in trials.items() if key not in gone],
        [job for key, job in alignments.items() if key not in gone],
        barriers.without(gone) if gone else barriers,
        len(present.stale.keys() - present.outdated.keys()),
        present.diverged,
        lost,
        present.unfit,
        present.outdated,
    )
