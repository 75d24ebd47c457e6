"""The index of committed results: which object holds which rows, so that a plan need not read every object.

The objects are the truth. The index records each object with its size and time of writing. An object whose
listing differs from its record is read again, and a reader that finds a damaged object discards the index.
Types with 64-bit offsets hold any number of rows.
"""

import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raysweep.store.backends import READS, Stamp
from raysweep.store.files import CorruptObject, Files
from raysweep.store.inputs import Known

SLICE = 1000  # objects that are read, or whose inputs are compared, at a time
MOST_UNINDEXED = 64  # so few new objects are read every time rather than added to the stored index

_TEXT = pa.large_string()
_SCHEMA = pa.schema(
    [
        ("object", _TEXT),
        ("size", pa.int64()),
        ("modified", pa.int64()),
        ("ids", pa.large_list(_TEXT)),
        ("splits", pa.large_list(_TEXT)),
        ("inputs", pa.large_list(pa.large_list(pa.int64()))),
        ("digests", pa.large_list(pa.int64())),
    ]
)
_OF_ENTRY = list(_SCHEMA)[3:]


@dataclass(frozen=True)
class Entry:
    """What the index keeps of an object's rows, in their order.

    `inputs` has hashes of the names and digests of each row's inputs in turn (`store.inputs.numbers_of`);
    none where the row does not say. `digests` has a hash of what each alignment found.
    """

    ids: pa.Array
    splits: pa.Array
    inputs: pa.Array
    digests: pa.Array


Read = Callable[[str], Entry]


@dataclass(frozen=True)
class Index:
    """What the committed objects of a kind hold.

    `objects` has a row for each object, in the order of their names: `object`, `size`, `modified`, and the
    `ids` and `splits` of its rows in their order, with their `inputs` and `digests` as in `Entry`.
    """

    objects: pa.Table

    def rows(self) -> pa.Table:
        """Return a row for each committed row, in order.

        The columns are `id` and `split`, `digest`, `object` (the number of its object) and `position` (its
        number among the rows of that object).
        """
        ids = self.objects.column("ids")
        lengths = pc.list_value_length(ids).to_numpy()
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        return pa.table(
            {
                "id": pc.list_flatten(ids),
                "split": pc.list_flatten(self.objects.column("splits")),
                "digest": pc.list_flatten(self.objects.column("digests")),
                "object": pc.list_parent_indices(ids).cast(pa.int32()),
                "position": pa.array((np.arange(len(starts)) - starts).astype(np.int32)),
            }
        )

    def without_inputs(self) -> "Index":
        """Return an index that takes less memory, for those who do not ask what fits."""
        return Index(self.objects.drop_columns(["inputs", "digests"]))

    def silent(self) -> int:
        """Return how many rows do not say what they were computed from."""
        counts = pc.list_value_length(pc.list_flatten(self.objects.column("inputs")))
        return int(pc.sum(pc.equal(counts, 0)).as_py() or 0)

    def fits(self, *known: Known) -> np.ndarray:
        """Return of each of `rows` whether none of its inputs is known to have other bits now."""
        inputs = self.objects.column("inputs")
        parts = (_fits(inputs.slice(start, SLICE), known) for start in range(0, len(inputs), SLICE))
        return np.concatenate([np.ones(0, bool), *parts])

    def last(self, ids: Collection[str]) -> dict[str, str]:
        """Return the object of each of these ids; where several objects hold one, the last of them."""
        return last_objects(self, self.rows(), ids)


def _fits(objects: pa.ChunkedArray, known: tuple[Known, ...]) -> np.ndarray:
    inputs = pc.list_flatten(objects)
    counts = pc.list_value_length(inputs).to_numpy() // 2
    pairs = pc.list_flatten(inputs).to_numpy().reshape(-1, 2)
    rows = np.repeat(np.arange(len(counts)), counts)
    found = np.ones(len(counts), bool)
    for each in known:
        found[rows[each.contradicts(pairs)]] = False
    return found


def last_objects(index: Index, rows: pa.Table, ids: Collection[str]) -> dict[str, str]:
    """Return the object of each of these ids among some rows of an index; the last that holds it."""
    rows = rows.filter(pc.is_in(rows.column("id"), pa.array(list(ids), pa.string())))
    names = index.objects.column("object").take(rows.column("object")).to_pylist()
    return dict(zip(rows.column("id").to_pylist(), names, strict=True))


def index_name(kind: str) -> str:
    return f"index/{kind}"


def indexed(files: Files, kind: str, read: Read) -> Index:
    """Return what the objects of a kind hold.

    `read` returns the entry of an object; objects for which it raises `CorruptObject` are left out. Where a
    listed object is gone by then, because it has been merged with others, all are listed again.
    """
    for _ in range(READS - 1):
        with contextlib.suppress(FileNotFoundError):
            return _indexed(files, kind, read)
    return _indexed(files, kind, read)


def _indexed(files: Files, kind: str, read: Read) -> Index:
    stamps, known, gone = _listed(files, kind)
    left = sorted(stamps.keys() - set(known.column("object").to_pylist()))
    if left:
        known = pa.concat_tables([known, _read_all(files, left, stamps, read)]).sort_by("object")
    known = known.combine_chunks()
    if gone or len(left) > MOST_UNINDEXED:
        store_index(files, kind, known)
    return Index(known)


def _listed(files: Files, kind: str) -> tuple[dict[str, Stamp], pa.Table, bool]:
    """Return the objects of a kind, the rows of the stored index that fit them, and whether others are gone.

    A long listing takes several requests, between which objects may be merged: it may then have neither the
    merged object nor its parts. The index is stored before parts are removed and read after the listing. So
    where it has objects that the listing lacks, the objects are listed again.
    """
    for _ in range(READS):
        stamps = files.stamps(f"results/{kind}")
        known = _stored(files, kind)
        names = known.column("object").to_pylist()
        gone = not stamps.keys() >= set(names)
        if not gone:
            break
    columns = (known.column(name).to_pylist() for name in ("size", "modified"))
    fits = [stamps.get(name) == tuple(stamp) for name, *stamp in zip(names, *columns, strict=True)]
    return stamps, known.filter(pa.array(fits, pa.bool_())), gone


def discard_index(files: Files, kind: str) -> None:
    """Delete an index that does not match its objects. When that fails, the next reader tries again."""
    with contextlib.suppress(OSError):
        files.delete(index_name(kind))


def _read_all(files: Files, names: list[str], stamps: dict[str, Stamp], read: Read) -> pa.Table:
    def found(name: str) -> tuple[str, Entry] | None:
        try:
            return name, read(name)
        except CorruptObject:
            return None

    return table_of_entries(
        [(name, stamps[name], entry) for name, entry in filter(None, files.at_once(found, names))]
    )


def table_of_entries(entries: list[tuple[str, Stamp, Entry]]) -> pa.Table:
    """Return rows of the index: the name, the stamp and the entry of each object."""
    return pa.table(
        [
            pa.array([name for name, _, _ in entries], _TEXT),
            pa.array([stamp.size for _, stamp, _ in entries], pa.int64()),
            pa.array([stamp.modified for _, stamp, _ in entries], pa.int64()),
            *(_lists(field, [getattr(entry, field.name) for _, _, entry in entries]) for field in _OF_ENTRY),
        ],
        schema=_SCHEMA,
    )


def _lists(field: pa.Field, arrays: list[pa.Array]) -> pa.Array:
    ends = np.cumsum([0, *map(len, arrays)])
    values = [each.cast(field.type.value_type) for each in arrays]
    return pa.LargeListArray.from_arrays(
        pa.array(ends, pa.int64()), pa.concat_arrays(values or [pa.array([], field.type.value_type)])
    )


def _stored(files: Files, kind: str) -> pa.Table:
    """Return the stored index, or an empty one when it is missing or damaged."""
    try:
        stored = pq.ParquetFile(pa.BufferReader(files.get_checked(index_name(kind))))
        table = pa.concat_tables(  # one by one and by one thread, which takes a third of the memory
            [stored.read_row_group(number, use_threads=False) for number in range(stored.num_row_groups)]
            or [_SCHEMA.empty_table()]
        )
    except (FileNotFoundError, CorruptObject, pa.ArrowException):
        return _SCHEMA.empty_table()
    return table if table.schema.equals(_SCHEMA) else _SCHEMA.empty_table()


def store_index(files: Files, kind: str, table: pa.Table) -> None:
    """Store the index, except under a read-only root, where the next command reads the objects again."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=SLICE, compression="zstd")
    with contextlib.suppress(OSError):
        files.put_checked(index_name(kind), sink.getvalue().to_pybytes())
