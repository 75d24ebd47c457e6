"""All that a sweep asks for: trials, alignments and barriers."""

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from raysweep.plan.across import AcrossSettings
from raysweep.plan.barrier_table import Barriers, Measurements
from raysweep.plan.comparisons import Comparisons
from raysweep.plan.identity import (
    AgreementJob,
    AlignmentJob,
    Trial,
    alignment_settings,
)
from raysweep.plan.levels import Levels
from raysweep.plan.own_measures import check_measures
from raysweep.plan.own_methods import check_own_methods
from raysweep.plan.probes import check_statistics, has_running_statistics
from raysweep.plan.trajectories import Trajectories
from raysweep.plan.trials import Extent, Trials
from raysweep.registry import OwnFunction, is_own
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
        check_measures(sections.compare, trials.facts(family.dense[0]), model)
        if has_running_statistics(model):
            comparisons.batchnorm |= settings
        if is_own(model.model):
            comparisons.own |= settings
        comparisons.replicates(family.dense[0].setting, [trials.end(trial) for trial in family.dense])
        if sections.compare.trajectory:
            Trajectories(sections, trials, comparisons).compare(family)
        for chains in family.chains:
            levels = Levels(sections, trials, comparisons, chains, family.dense[0].setting)
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
