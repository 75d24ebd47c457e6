"""The index of committed results: which object holds which rows, so that a plan need not read every object.

The objects are the truth. The index records each object with its size and time of writing. An object whose
listing differs from its record is read again, and a reader that finds a damaged object discards the index.
"""

import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
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


def index_name(kind: str) -> str:
    return f"index/{kind}"


def indexed(files: Files, kind: str, read: Read) -> pa.Table:
    """Return the index of a kind of results: one row per object, sorted by the objects' names.

    The columns are `object`, `size`, `modified`, and the lists `ids` and `splits` with an entry for each row
    of the object. `read` returns these two for an object; objects for which it raises `CorruptObject` are
    left out.
    """
    stamps = files.stamps(f"results/{kind}")
    known = _stored(files, kind)
    columns = (known.column(name).to_pylist() for name in ("object", "size", "modified"))
    fits = [stamps.get(name) == (size, modified) for name, size, modified in zip(*columns, strict=True)]
    known = known.filter(pa.array(fits, pa.bool_()))
    left = sorted(stamps.keys() - set(known.column("object").to_pylist()))
    if not left:
        return known.combine_chunks()
    known = pa.concat_tables([known, _read_all(left, stamps, read)]).sort_by("object").combine_chunks()
    if len(left) > MOST_UNINDEXED:
        _store(files, kind, known)
    return known


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
