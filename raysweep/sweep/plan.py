"""The plan: everything that a sweep asks for, minus what the store has."""

from collections.abc import Iterable
from dataclasses import dataclass

from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import LevelRecord, TrialStore
from raysweep.sweep.across import Across
from raysweep.sweep.comparisons import Comparisons
from raysweep.sweep.facts import has_batchnorm
from raysweep.sweep.identity import AgreementUnit, AlignmentUnit, BarrierUnit, Network, Trial
from raysweep.sweep.levels import Levels
from raysweep.sweep.load import Sweep
from raysweep.sweep.trajectories import Trajectories
from raysweep.sweep.trials import Cursor, Trials


@dataclass(frozen=True)
class Desired:
    """All that a sweep asks for, by id and in a fixed order."""

    sweep: Sweep
    trials: dict[str, Trial]
    cursors: dict[str, Cursor]
    alignments: dict[str, AlignmentUnit]
    barriers: dict[str, BarrierUnit]
    agreements: dict[str, AgreementUnit]


@dataclass(frozen=True)
class Done:
    """What the store holds: level records, and the object in which a result lies, by its key.

    `stale` are the finished levels that lack a checkpoint which the sweep asks for.
    """

    records: dict[tuple[str, int], LevelRecord]
    stale: frozenset[tuple[str, int]]
    alignments: dict[str, str]
    barriers: dict[tuple[str, str], str]

    def has(self, networks: Iterable[Network]) -> bool:
        """Whether these checkpoints can be read."""
        return all((network.trial_id, network.level) in self.records for network in networks)


@dataclass(frozen=True)
class Todo:
    """Desired minus done; `recomputed` counts the finished levels that are computed once more."""

    trials: list[Trial]
    alignments: list[AlignmentUnit]
    barriers: list[BarrierUnit]
    recomputed: int

    def __bool__(self) -> bool:
        return bool(self.trials or self.alignments or self.barriers)

    def stages(self) -> dict[str, int]:
        """How much there is to do in each stage that has work."""
        counts = {
            "training": len(self.trials),
            "alignments": len(self.alignments),
            "barriers": len(self.barriers),
        }
        return {stage: count for stage, count in counts.items() if count}


def desired(sweep: Sweep) -> Desired:
    """List every trial, alignment and barrier of a sweep.

    Raises `UserError` for missing data and for moments, layers or levels that training does not have.
    """
    sections = sweep.sections
    trials, comparisons = Trials(sweep), Comparisons(sections.align, sections.compare)
    families = [trials.family(training) for training in sweep.trainings]
    for family in families:
        if has_batchnorm(trials.model(family.dense[0])):
            comparisons.batchnorm.update(trial.group for trial in (*family.dense, *family.chains))
        comparisons.group(family.dense[0].group, [trials.end(trial) for trial in family.dense])
        if sections.compare.trajectory:
            Trajectories(sections, trials, comparisons).compare(family)
        if sections.prune:
            levels = Levels(sections, trials, comparisons, family)
            levels.compare()
            levels.branches()
    Across(sections, trials, comparisons).compare(families)
    return Desired(
        sweep,
        trials.trials,
        trials.cursors,
        comparisons.alignments,
        comparisons.barriers,
        comparisons.agreements,
    )


def done(wanted: Desired, files: Files) -> Done:
    """Look up what the store already holds of a sweep."""
    store, results = TrialStore(files), ResultStore(files)
    records, stale = {}, set()
    for trial_id, cursor in wanted.cursors.items():
        for level in cursor.levels:
            record = store.record(trial_id, level)
            if record is None:
                continue
            if record.has(cursor.checkpoints, cursor.optimisers):
                records[trial_id, level] = record
            else:
                stale.add((trial_id, level))
    alignments = {key[0]: row["_object"] for key, row in results.rows("alignments", ["alignment_id"]).items()}
    barriers = {
        (key[0], key[1]): row["_object"]
        for key, row in results.rows("barriers", ["barrier_id", "split"]).items()
    }
    return Done(
        records,
        frozenset(stale),
        {key: where for key, where in alignments.items() if key in wanted.alignments},
        {key: where for key, where in barriers.items() if key[0] in wanted.barriers},
    )


def finished(wanted: Desired, present: Done, trial_id: str) -> bool:
    """Whether all levels of a trial are done."""
    return all((trial_id, level) in present.records for level in wanted.cursors[trial_id].levels)


def todo(wanted: Desired, present: Done) -> Todo:
    """Return the work still to do, in the order of the plan.

    A barrier is done when all its splits are. An alignment whose barriers are all done but which is
    itself missing is work too: its row belongs to the tables.
    """
    splits = wanted.sweep.sections.compare.splits
    return Todo(
        [trial for key, trial in wanted.trials.items() if not finished(wanted, present, key)],
        [unit for key, unit in wanted.alignments.items() if key not in present.alignments],
        [
            unit
            for key, unit in wanted.barriers.items()
            if any((key, split) not in present.barriers for split in splits)
        ],
        len(present.stale),
    )
