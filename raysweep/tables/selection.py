"""The committed rows that belong to the tables of a sweep, read object by object."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raysweep.plan.fitting import Rows
from raysweep.store.files import CorruptObject
from raysweep.store.ids import BYTES, Ids, pack_column, texts
from raysweep.store.results import ID, ResultStore
from raysweep.tables.schemas import BUCKETS

TOGETHER = 256  # objects that are in memory at once


@dataclass(frozen=True)
class Damage:
    """Rows that cannot be read, by their ids, and why."""

    ids: list[str]
    error: str


class Selection:
    """The rows of one kind whose ids a sweep asks for; but for alignments, on the splits that it asks for.

    Only rows that fit what is stored now are among them (`plan.fitting`).

    Where several objects hold a row, the last of them counts, in the order of their names.
    """

    def __init__(self, results: ResultStore, kind: str, found: Rows, wanted: Ids, splits: list[str]) -> None:
        self._results, self._kind, self._objects = results, kind, found.objects
        rows = found.fitting
        ids, codes = pack_column(rows.column("id")), _codes(rows.column("split"), splits)
        asked = np.flatnonzero((codes >= 0) & (wanted.places(ids) >= 0))
        order = asked[np.lexsort((codes[asked], ids[asked]))]
        last = np.ones(len(order), bool)
        last[:-1] = (ids[order[1:]] != ids[order[:-1]]) | (codes[order[1:]] != codes[order[:-1]])
        self._order = order[last]
        self._rows = rows.select(["split", "object", "position"]).take(self._order)
        self._ids = ids[self._order]

    def __len__(self) -> int:
        return len(self._order)

    def inputs(self, bucket: int) -> str:
        """Return a digest of all rows of a bucket and of the objects that hold them."""
        start, end = self._ends(bucket)
        rows, ids = self._rows.slice(start, end - start), self._ids[start:end]
        where = self._objects.select(["object", "size", "modified"]).take(rows.column("object"))
        sha = hashlib.sha256()
        sha.update("\n".join(texts(ids)).encode())
        for column in (rows.column("split"), *where.itercolumns()):
            sha.update("\n".join(map(str, column.to_pylist())).encode())
        return sha.hexdigest()

    def read(self, buckets: Iterable[int]) -> Iterator[pa.Table | Damage]:
        """Yield the rows of some buckets, object by object."""
        chosen = np.concatenate([np.empty(0, int), *(np.arange(*self._ends(bucket)) for bucket in buckets)])
        if not len(chosen):
            return
        chosen = chosen[np.argsort(self._order[chosen])]
        owners, positions = (self._rows.column(name).to_numpy()[chosen] for name in ("object", "position"))
        objects, starts = np.unique(owners, return_index=True)
        parts = list(zip(objects.tolist(), np.split(positions, starts[1:]), strict=True))
        for start in range(0, len(parts), TOGETHER):
            yield from self._results.at_once(self._part, parts[start : start + TOGETHER])

    def _ends(self, bucket: int) -> tuple[int, int]:
        """Where the rows of a bucket begin and end."""
        digits = np.arange(bucket, bucket + 2) * (256 // BUCKETS)
        first = np.frombuffer(self._ids.tobytes(), np.uint8)[::BYTES]
        start, end = np.searchsorted(first, digits)
        return int(start), int(end)

    def _part(self, part: tuple[int, np.ndarray]) -> pa.Table | Damage:
        """Return rows of one object, given its number and the positions of the rows in it."""
        number, at = part
        entry = self._objects.slice(number, 1)
        name, said = entry.column("object")[0].as_py(), entry.column("ids")[0].as_py()
        ids = [said[position] for position in at]
        try:
            rows = self._results.read(name)
        except CorruptObject as error:
            return Damage(ids, str(error))
        if rows.column(ID[self._kind]).to_pylist() != said:
            self._results.discard_index(self._kind)
            return Damage(ids, f"{name}: holds other rows than the index says; the index is made again")
        return rows.take(pa.array(at))


def _codes(column: pa.ChunkedArray, splits: list[str]) -> np.ndarray:
    """The positions of these texts in the sorted splits, -1 for others; 0 for alignments, which have none."""
    if pa.types.is_null(column.type) or column.null_count == len(column):
        return np.zeros(len(column), np.int32)
    found = pc.index_in(column, pa.array(sorted(splits), column.type))
    codes: np.ndarray = pc.fill_null(found, -1).to_numpy()
    return codes
