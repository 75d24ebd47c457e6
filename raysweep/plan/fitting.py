"""The committed rows that were computed from what is stored now, and those from other bits."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raysweep.store.ids import starts_of_runs
from raysweep.store.index import Index, last_objects
from raysweep.store.inputs import Known, changed_inputs, number_of, stored_objects
from raysweep.store.records import LevelRecord
from raysweep.store.results import ID, ResultStore

Levels = Mapping[tuple[str, int], LevelRecord]


@dataclass(frozen=True)
class Rows:
    """The rows of one kind, in the order of the index: those that fit, and those that no longer do.

    `objects` are those of the index. `names` has what stands for the names of the inputs of all these rows
    (`store.inputs.Inputs.names`), some of it more than once.
    """

    objects: pa.Table
    fitting: pa.Table
    unfit: pa.Table
    known: tuple[Known, ...]
    names: np.ndarray

    def unfit_ids(self) -> pa.ChunkedArray:
        """Return the ids of which there are rows, but none that fits."""
        ids = self.unfit.column("id")
        if not len(ids):
            return ids
        fitting = self.fitting.column("id").combine_chunks()
        return pa.chunked_array([ids.filter(pc.invert(pc.is_in(ids, fitting))).unique()])

    def replaced(self, results: ResultStore, kind: str, ids: Collection[str]) -> dict[str, set[str]]:
        """Return the inputs that have other bits now, with those of these ids that were computed from them.

        They are by their names. Raises `CorruptObject`.
        """
        found: dict[str, set[str]] = {}
        for name in set(last_objects(self.objects, self.unfit, ids).values()):
            for identity, inputs in zip(
                *results.read(name, [ID[kind], "inputs"]).to_pydict().values(), strict=True
            ):
                if identity in ids:
                    for input_name in changed_inputs(inputs or [], self.known):
                        found.setdefault(input_name, set()).add(identity)
        return found


def fitting_rows(results: ResultStore, levels: Levels) -> dict[str, Rows]:
    """Return the rows of alignments, barriers and measures by kind, given the records of finished levels.

    A row fits unless one of its checkpoints or permutations is stored with other bits than it was computed
    from. Rows of earlier versions, which do not say, fit. So do rows whose inputs are not stored at present.
    """
    objects = Known.of(stored_objects(levels))
    alignments = _split(results.index("alignments"), objects)
    permutations = _permutations(alignments.fitting)
    others = {kind: _split(results.index(kind), objects, permutations) for kind in ("barriers", "measures")}
    return {"alignments": alignments, **others}


def outdated_levels(levels: Levels, rows: Mapping[str, Rows]) -> dict[tuple[str, int], list[str]]:
    """Return the levels that started from other bits than are stored now, with the names of these inputs.

    `rows` are those of `fitting_rows`. Levels that depend on outdated ones are outdated once these have been
    trained to other bits.
    """
    known = rows["barriers"].known
    found = {level: changed_inputs(record.inputs, known) for level, record in levels.items() if record.inputs}
    return {level: names for level, names in found.items() if names}


def outdated_words(outdated: Mapping[tuple[str, int], list[str]]) -> str:
    """Return how many levels are outdated, with the first of them and its inputs."""
    ((trial_id, level), names), *_ = outdated.items()
    return (
        f"{len(outdated):,} finished levels started from objects that have other bits now, such as level "
        f"{level} of trial {trial_id} from {' and '.join(names)}"
    )


def _split(index: Index, *known: Known) -> Rows:
    found = [(each.fit(known), _once(each.names())) for each in index.inputs()]
    fits = np.concatenate([np.ones(0, bool), *(some for some, _ in found)])
    names = np.concatenate([np.zeros(0, np.int64), *(some for _, some in found)])
    rows = index.rows()
    fitting, unfit = rows, rows.slice(0, 0)
    if not fits.all():
        fitting, unfit = rows.filter(pa.array(fits)), rows.filter(pa.array(~fits))
    return Rows(index.objects, fitting, unfit, known, names)


def _once(names: np.ndarray) -> np.ndarray:
    """Leave out what comes again at once, as the rows of the splits of a barrier do."""
    found: np.ndarray = names[starts_of_runs(names)]
    return found


def _permutations(rows: pa.Table) -> Known:
    """What the alignments in these rows found; of several rows of one, the last counts."""
    found = dict(zip(rows.column("id").to_pylist(), rows.column("digest").to_pylist(), strict=True))
    names = np.fromiter(map(number_of, found), np.int64, len(found))
    return Known(names, np.fromiter(found.values(), np.int64, len(found)))
