"""The committed rows that were computed from what is stored now, and those from other bits."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raysweep.plan.identity import Network
from raysweep.store.index import Index, last_objects
from raysweep.store.inputs import CHARACTERS, Known, number_of, numbers_of, split_input
from raysweep.store.records import LevelRecord
from raysweep.store.results import ID, ResultStore

Levels = Mapping[tuple[str, int], LevelRecord]


@dataclass(frozen=True)
class Rows:
    """The rows of one kind, in the order of the index: those that fit, and those that do not any more."""

    index: Index
    fitting: pa.Table
    unfit: pa.Table
    known: tuple[Known, ...]

    def unfit_ids(self) -> pa.ChunkedArray:
        """Return the ids of which there are rows, but none that fits."""
        ids = self.unfit.column("id")
        fitting = self.fitting.column("id").combine_chunks()
        return pa.chunked_array([ids.filter(pc.invert(pc.is_in(ids, fitting))).unique()])

    def replaced(self, results: ResultStore, kind: str, ids: Collection[str]) -> dict[str, set[str]]:
        """Return the inputs that have other bits now, with those of these ids that were computed from them.

        They are by their names. Raises `CorruptObject`.
        """
        found: dict[str, set[str]] = {}
        for name in set(last_objects(self.index, self.unfit, ids).values()):
            for identity, inputs in zip(
                *results.read(name, [ID[kind], "inputs"]).to_pydict().values(), strict=True
            ):
                numbers = np.array(numbers_of(inputs or []), np.int64).reshape(-1, 2)
                wrong = np.any([known.contradicts(numbers) for known in self.known], axis=0)
                for text in np.array(inputs or [], object)[wrong]:
                    if identity in ids:
                        found.setdefault(split_input(text)[0], set()).add(identity)
        return found


def fitting_rows(results: ResultStore, levels: Levels) -> dict[str, Rows]:
    """Return the rows of alignments, barriers and measures by kind, given the records of finished levels.

    A row fits unless one of its checkpoints or permutations is stored with other bits than it was computed
    from. Rows of earlier versions, which do not say, fit. So do rows whose inputs are not stored at present.
    """
    checkpoints = Known.of(stored_checkpoints(levels))
    alignments = _split(results.index("alignments"), checkpoints)
    permutations = _permutations(alignments.fitting)
    others = {
        kind: _split(results.index(kind), checkpoints, permutations) for kind in ("barriers", "measures")
    }
    return {"alignments": alignments, **others}


def stored_checkpoints(levels: Levels) -> dict[str, str]:
    """Return the digests of the checkpoints of levels, by the names of the networks."""
    return {
        str(Network(*level, step)): sha256[:CHARACTERS]
        for level, record in levels.items()
        for step, sha256 in record.checkpoints.items()
    }


def _split(index: Index, *known: Known) -> Rows:
    rows, fits = index.rows(), index.fits(*known)
    fitting, unfit = rows, rows.slice(0, 0)
    if not fits.all():
        fitting, unfit = rows.filter(pa.array(fits)), rows.filter(pa.array(~fits))
    return Rows(index.without_inputs(), fitting, unfit, known)


def _permutations(rows: pa.Table) -> Known:
    """What the alignments in these rows found; of several rows of one, the last counts."""
    found = dict(zip(rows.column("id").to_pylist(), rows.column("digest").to_pylist(), strict=True))
    names = np.fromiter(map(number_of, found), np.int64, len(found))
    return Known(names, np.fromiter(found.values(), np.int64, len(found)))
