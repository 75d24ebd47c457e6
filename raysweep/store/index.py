"""The index of committed results: which object holds which rows, so that a plan need not read every object.

The objects are the truth. The index records each object with its size and time of writing. An object whose
listing differs from its record is read again, and a reader that finds a damaged object discards the index.
"""

import contextlib
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raysweep.store.backends import Stamp
from raysweep.store.files import CorruptObject, Files

READERS = 16  # objects that are read concurrently, because each request has a latency
MOST_UNINDEXED = 64  # so few new objects are read every time rather than added to the stored index

Read = Callable[[str], tuple[pa.Array, pa.Array]]

_SCHEMA = pa.schema(
    [
        ("object", pa.string()),
        ("size", pa.int64()),
        ("modified", pa.int64()),
        ("ids", pa.list_(pa.string())),
        ("splits", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class Index:
    """What the committed objects of a kind hold.

    `objects` has a row for each object, in the order of their names: `object`, `size`, `modified`, and the
    `ids` and `splits` of its rows in their order.
    """

    objects: pa.Table

    def rows(self) -> pa.Table:
        """Return a row for each committed row, in order.

        The columns are `id` and `split`, `object` (the number of its object) and `position` (its number among
        the rows of that object).
        """
        ids = self.objects.column("ids")
        lengths = pc.list_value_length(ids).to_numpy()
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        return pa.table(
            {
                "id": pc.list_flatten(ids),
                "split": pc.list_flatten(self.objects.column("splits")),
                "object": pc.list_parent_indices(ids),
                "position": pa.array(np.arange(len(starts)) - starts),
            }
        )

    def last(self, ids: Collection[str]) -> dict[str, str]:
        """Return the object of each of these ids; where several objects hold one, the last of them."""
        rows = self.rows()
        rows = rows.filter(pc.is_in(rows.column("id"), pa.array(list(ids), pa.string())))
        names = self.objects.column("object").take(rows.column("object")).to_pylist()
        return dict(zip(rows.column("id").to_pylist(), names, strict=True))


def index_name(kind: str) -> str:
    return f"index/{kind}"


def indexed(files: Files, kind: str, read: Read) -> Index:
    """Return what the objects of a kind hold.

    `read` returns the ids and splits of an object; objects for which it raises `CorruptObject` are left out.
    """
    stamps = files.stamps(f"results/{kind}")
    known = _stored(files, kind)
    columns = (known.column(name).to_pylist() for name in ("object", "size", "modified"))
    fits = [stamps.get(name) == (size, modified) for name, size, modified in zip(*columns, strict=True)]
    known = known.filter(pa.array(fits, pa.bool_()))
    left = sorted(stamps.keys() - set(known.column("object").to_pylist()))
    if not left:
        return Index(known.combine_chunks())
    known = pa.concat_tables([known, _read_all(left, stamps, read)]).sort_by("object").combine_chunks()
    if len(left) > MOST_UNINDEXED:
        _store(files, kind, known)
    return Index(known)


def discard_index(files: Files, kind: str) -> None:
    """Delete an index that does not match its objects. When that fails, the next reader tries again."""
    with contextlib.suppress(OSError):
        files.delete(index_name(kind))


def _read_all(names: Iterable[str], stamps: dict[str, Stamp], read: Read) -> pa.Table:
    def found(name: str) -> tuple[str, pa.Array, pa.Array] | None:
        try:
            return (name, *read(name))
        except CorruptObject:
            return None

    with ThreadPoolExecutor(READERS) as pool:
        rows = [row for row in pool.map(found, names) if row]
    return pa.table(
        [
            pa.array([name for name, _, _ in rows], pa.string()),
            pa.array([stamps[name].size for name, _, _ in rows], pa.int64()),
            pa.array([stamps[name].modified for name, _, _ in rows], pa.int64()),
            _lists([ids for _, ids, _ in rows]),
            _lists([splits for _, _, splits in rows]),
        ],
        schema=_SCHEMA,
    )


def _lists(arrays: list[pa.Array]) -> pa.Array:
    ends = [0]
    for array in arrays:
        ends.append(ends[-1] + len(array))
    values = pa.concat_arrays(arrays) if arrays else pa.array([], pa.string())
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values)


def _stored(files: Files, kind: str) -> pa.Table:
    """Return the stored index, or an empty one when it is missing or damaged."""
    try:
        table = pq.read_table(pa.BufferReader(files.get_checked(index_name(kind))))
    except (FileNotFoundError, CorruptObject, pa.ArrowException):
        return _SCHEMA.empty_table()
    return table if table.schema.equals(_SCHEMA) else _SCHEMA.empty_table()


def _store(files: Files, kind: str, table: pa.Table) -> None:
    """Store the index, except under a read-only root, where the next command reads the objects again."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    with contextlib.suppress(OSError):
        files.put_checked(index_name(kind), sink.getvalue().to_pybytes())
