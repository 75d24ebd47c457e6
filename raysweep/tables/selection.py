"""The committed rows that belong to the tables of a sweep, read object by object."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raysweep.plan.fitting import Rows
from raysweep.store.files import CorruptObject
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

    def __init__(
        self, results: ResultStore, kind: str, found: Rows, wanted: list[str], splits: list[str]
    ) -> None:
        self._results, self._kind, self._index = results, kind, found.index
        rows = found.fitting
        ids = rows.column("id")
        asked = pc.is_in(ids, pa.array(wanted, pa.string()))
        if kind != "alignments":
            asked = pc.and_(asked, pc.is_in(rows.column("split"), pa.array(splits, pa.string())))
        rows = rows.append_column("row", pa.array(np.arange(len(rows))))
        last = rows.filter(asked).group_by(["id", "split"]).aggregate([("row", "max")])
        self._rows = rows.take(last.column("row_max")).sort_by([("id", "ascending"), ("split", "ascending")])
        digits = pc.utf8_slice_codeunits(self._rows.column("id"), 0, 1)
        self._buckets = {bucket: pc.equal(digits, f"{bucket:x}") for bucket in range(BUCKETS)}

    def inputs(self, bucket: int) -> str:
        """Return a digest of all rows of a bucket and of the objects that hold them."""
        rows = self._rows.filter(self._buckets[bucket])
        where = self._index.objects.select(["object", "size", "modified"]).take(rows.column("object"))
        sha = hashlib.sha256()
        for table in (rows.select(["id", "split"]), where):
            for column in table.itercolumns():
                sha.update("\n".join(map(str, column.to_pylist())).encode())
        return sha.hexdigest()

    def read(self, buckets: Iterable[int]) -> Iterator[pa.Table | Damage]:
        """Yield the rows of some buckets, object by object."""
        chosen = [self._rows.filter(self._buckets[bucket]) for bucket in buckets]
        table = pa.concat_tables([self._rows.slice(0, 0), *chosen])
        if not len(table):
            return
        order = np.argsort(table.column("row").to_numpy())
        owners, positions = (table.column(name).to_numpy()[order] for name in ("object", "position"))
        objects, starts = np.unique(owners, return_index=True)
        parts = list(zip(objects.tolist(), np.split(positions, starts[1:]), strict=True))
        for start in range(0, len(parts), TOGETHER):
            yield from self._results.at_once(self._part, parts[start : start + TOGETHER])

    def _part(self, part: tuple[int, np.ndarray]) -> pa.Table | Damage:
        """Return rows of one object, given its number and the positions of the rows in it."""
        number, at = part
        entry = self._index.objects.slice(number, 1)
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
