"""What the store already holds of what a sweep asks for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raysweep.plan.barrier_table import Barriers, Measurements
from raysweep.plan.candidates import Candidates
from raysweep.plan.desired import Desired
from raysweep.plan.fitting import Rows, fitting_rows, outdated_levels
from raysweep.plan.identity import Network
from raysweep.plan.trials import Extent
from raysweep.store.divergence import Divergence, divergences
from raysweep.store.files import Files
from raysweep.store.ids import Ids, pack_column, texts
from raysweep.store.index import last_objects
from raysweep.store.records import LevelRecord
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore


@dataclass(frozen=True)
class Done:
    """What the store holds: records of finished levels, the object of each alignment, and complete barriers.

    A barrier is complete when all its splits are there, and so is a measurement, in `measures`. The levels in
    `stale` are finished but lack a checkpoint that the sweep asks for, or are `outdated`: they started from
    objects that have other bits now, which are named there. The trials in `diverged` have levels that will
    never be finished. `rows` are the committed rows by kind: only those that fit what is stored now count as
    done. Alignments and barriers in `unfit` have rows, or their measures have, of which none fits. All
    barriers with committed rows are among the `candidates`. `published` is the version of the tables'
    manifest before anything was looked up.
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
    names = np.concatenate([rows["barriers"].names, rows["measures"].names])
    candidates = Candidates.of(wanted.barriers, names)
    measurements = Measurements(candidates.barriers)
    unfinished = {
        key for key, extent in wanted.extents.items() if any((key, n) not in records for n in extent.levels)
    }
    return Done(
        records=records,
        stale=stale,
        alignments=last_objects(alignments.objects, alignments.fitting, wanted.alignments),
        barriers=candidates.barriers.ids.among(complete(rows["barriers"].fitting, splits)),
        measures=measurements.ids.among(complete(rows["measures"].fitting, splits)),
        diverged=divergences(files, unfinished) if unfinished else {},
        rows=rows,
        unfit=_unfit(wanted, rows, measurements, candidates.barriers),
        outdated=outdated,
        candidates=candidates,
        published=published,
    )


def _unfit(
    wanted: Desired, rows: Mapping[str, Rows], measurements: Measurements, barriers: Barriers
) -> frozenset[str]:
    """Return the alignments and barriers of which, or of whose measures, all rows are unfit."""
    compared = barriers.ids.places(pack_column(rows["barriers"].unfit_ids()))
    measured = measurements.ids.places(pack_column(rows["measures"].unfit_ids()))
    places = np.union1d(compared[compared >= 0], measured[measured >= 0] // len(barriers.measures))
    alignments = wanted.alignments.keys() & rows["alignments"].unfit_ids().to_pylist()
    return frozenset(alignments).union(texts(barriers.ids.packed[places]))


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
    found = [Ids.distinct(ids[pc.equal(split, each).to_numpy()]) for each in set(splits)]
    return reduce(Ids.among, found) if found else Ids.of()


def levels_left(wanted: Desired, present: Done, trial_id: str) -> int:
    """Return how many levels of a trial are not done; those that are outdated have no record."""
    return sum((trial_id, level) not in present.records for level in wanted.extents[trial_id].levels)


def finished(wanted: Desired, present: Done, trial_id: str) -> bool:
    """Whether all levels of a trial are done."""
    return not levels_left(wanted, present, trial_id)
