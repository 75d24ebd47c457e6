"""The plan: everything that a sweep asks for, minus what the store has."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from raysweep.data.arrays import dataset_digest, load_arrays
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import LevelRecord, TrialStore
from raysweep.sweep.identity import (
    AlignmentUnit,
    BarrierUnit,
    Network,
    Trial,
    make_alignment,
    make_barrier,
    make_trial,
)
from raysweep.sweep.load import Sweep


@dataclass(frozen=True)
class Cursor:
    """The steps of a trial: per epoch, in all, and those at which a checkpoint is stored."""

    per_epoch: int
    total: int
    checkpoints: tuple[int, ...]


@dataclass(frozen=True)
class Desired:
    """All that a sweep asks for, by id and in a fixed order."""

    sweep: Sweep
    trials: dict[str, Trial]
    cursors: dict[str, Cursor]
    alignments: dict[str, AlignmentUnit]
    barriers: dict[str, BarrierUnit]


@dataclass(frozen=True)
class Done:
    """What the store holds: level records by trial, and the object in which a result lies, by its key."""

    records: dict[str, LevelRecord]
    alignments: dict[str, str]
    barriers: dict[tuple[str, str], str]


@dataclass(frozen=True)
class Todo:
    """Desired minus done."""

    trials: list[Trial]
    alignments: list[AlignmentUnit]
    barriers: list[BarrierUnit]

    def __bool__(self) -> bool:
        return bool(self.trials or self.alignments or self.barriers)


def desired(sweep: Sweep) -> Desired:
    """List every trial, alignment and barrier of a sweep. Raises `UserError` for missing data."""
    rest = sweep.sections.train
    trials: dict[str, Trial] = {}
    cursors: dict[str, Cursor] = {}
    groups: dict[str, list[Network]] = defaultdict(list)
    digests: dict[tuple[str, int], tuple[str, int]] = {}
    for training in sweep.trainings:
        key = (training.dataset, training.split_seed)
        if key not in digests:
            arrays = load_arrays(training.dataset, rest.data_root, rest.download, training.split_seed)
            digests[key] = (dataset_digest(arrays), len(arrays.train_labels))
        data_digest, examples = digests[key]
        per_epoch = -(-examples // training.batch_size)
        total = per_epoch * training.epochs
        stops = {0, total, *(epoch * per_epoch for epoch in rest.checkpoints if epoch <= training.epochs)}
        for replicate in rest.replicate_numbers():
            trial = make_trial(training, replicate, data_digest)
            if trial.trial_id not in trials:
                trials[trial.trial_id] = trial
                cursors[trial.trial_id] = Cursor(per_epoch, total, tuple(sorted(stops)))
                groups[trial.group].append(Network(trial.trial_id, 0, total))
    alignments: dict[str, AlignmentUnit] = {}
    barriers: dict[str, BarrierUnit] = {}
    for group, networks in groups.items():
        for unit in _compare(sweep, group, sorted(networks), alignments):
            barriers[unit.barrier_id] = unit
    return Desired(sweep, trials, cursors, alignments, barriers)


def _compare(
    sweep: Sweep, group: str, networks: list[Network], alignments: dict[str, AlignmentUnit]
) -> Iterator[BarrierUnit]:
    """Yield the barriers among networks that differ in the replicate alone; adds the alignments they need."""
    compare, align = sweep.sections.compare, sweep.sections.align
    if "unaligned" in compare.kinds:
        for pair in combinations(networks, 2):
            yield make_barrier("pair", "unaligned", group, pair, compare)
    for method in align.methods:
        found: dict[frozenset[Network], str] = {}
        if {"direct", "via"} & set(compare.kinds):
            for one, other in combinations(networks, 2):
                unit = make_alignment(method, group, one, other, align)
                alignments[unit.alignment_id] = unit
                found[frozenset((one, other))] = unit.alignment_id
        if "direct" in compare.kinds:
            for pair in combinations(networks, 2):
                direct = (found[frozenset(pair)],)
                yield make_barrier("pair", "direct", group, pair, compare, method, None, direct)
        if "via" in compare.kinds:
            for triple in combinations(networks, 3):
                for reference in triple:
                    moved = tuple(network for network in triple if network != reference)
                    ids = tuple(found[frozenset((network, reference))] for network in moved)
                    yield make_barrier("pair", "via", group, moved, compare, method, reference, ids)
                    yield make_barrier("simplex", "via", group, triple, compare, method, reference, ids)


def done(wanted: Desired, files: Files) -> Done:
    """Look up what the store already holds of a sweep."""
    store, results = TrialStore(files), ResultStore(files)
    records = {}
    for trial_id, cursor in wanted.cursors.items():
        record = store.record(trial_id, 0)
        if record is not None and set(cursor.checkpoints) <= set(record.checkpoints):
            records[trial_id] = record
    alignments = {key[0]: row["_object"] for key, row in results.rows("alignments", ["alignment_id"]).items()}
    barriers = {
        (key[0], key[1]): row["_object"]
        for key, row in results.rows("barriers", ["barrier_id", "split"]).items()
    }
    return Done(
        records,
        {key: where for key, where in alignments.items() if key in wanted.alignments},
        {key: where for key, where in barriers.items() if key[0] in wanted.barriers},
    )


def todo(wanted: Desired, present: Done) -> Todo:
    """Return the work still to do, in the order of the plan.

    A barrier is done when all its splits are. An alignment whose barriers are all done but which is
    itself missing is work too: its row belongs to the tables.
    """
    splits = wanted.sweep.sections.compare.splits
    return Todo(
        [trial for key, trial in wanted.trials.items() if key not in present.records],
        [unit for key, unit in wanted.alignments.items() if key not in present.alignments],
        [
            unit
            for key, unit in wanted.barriers.items()
            if any((key, split) not in present.barriers for split in splits)
        ],
    )
