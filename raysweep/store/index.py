"""The index of committed results: which object holds which rows, so that a plan need not read every object.

The objects are the truth. The index records each object with its stamp: size, time of writing and ETag. An
object whose listing differs from its record is read again, and a reader that finds a damaged object discards
the index.
Types with 64-bit offsets hold any number of rows.
"""

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raysweep.store.backends import READS, Stamp
from raysweep.store.files import CorruptObject, Files
from raysweep.store.inputs import Inputs

SLICE = 250  # objects that are read at a time
MOST_UNINDEXED = 64  # so few new objects are read every time rather than added to the stored index

_TEXT = pa.large_string()
_SCHEMA = pa.schema(
    [
        ("object", _TEXT),
        ("size", pa.int64()),
        ("modified", pa.int64()),
        ("etag", _TEXT),
        ("ids", pa.large_list(_TEXT)),
        ("splits", pa.large_list(_TEXT)),
        ("inputs", pa.large_list(pa.large_list(pa.int64()))),
        ("digests", pa.large_list(pa.int64())),
    ]
)
_OF_STAMP = _SCHEMA.names[:4]
_OF_ENTRY = list(_SCHEMA)[4:]
_OF_OBJECT = _SCHEMA.names[:6]


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

    `slices` yields some columns of a row for each object, in the order of their names, a slice at a time:
    `object`, `size`, `modified`, `etag`, and the `ids` and `splits` of its rows in their order, with their
    `inputs` and `digests` as in `Entry`.
    """

    slices: Callable[[list[str]], Iterator[pa.Table]]

    @cached_property
    def objects(self) -> pa.Table:
        """All slices, without inputs and digests."""
        return pa.concat_tables(self.slices(_OF_OBJECT)).combine_chunks()

    def rows(self) -> pa.Table:
        """Return a row for each committed row, in order.

        The columns are `id` and `split`, `digest`, `object` (the number of its object) and `position` (its
        number among the rows of that object).
        """
        ids = self.objects.column("ids")
        lengths = pc.list_value_length(ids).to_numpy()
        starts = np.repeat((np.cumsum(lengths) - lengths).astype(np.int32), lengths)
        return pa.table(
            {
                "id": pc.list_flatten(ids),
                "split": pc.list_flatten(self.objects.column("splits")),
                "digest": self._flat("digests"),
                "object": pa.array(np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)),
                "position": pa.array(np.arange(len(starts), dtype=np.int32) - starts),
            }
        )

    def silent(self) -> int:
        """Return how many rows do not say what they were computed from."""
        counts = pc.list_value_length(self._flat("inputs"))
        return int(pc.sum(pc.equal(counts, 0)).as_py() or 0)

    def inputs(self) -> Iterator[Inputs]:
        """Yield the inputs of `rows`, of some of them at a time."""
        for each in self.slices(["object", "inputs"]):
            found = pc.list_flatten(each.column("inputs"))
            counts = pc.list_value_length(found).to_numpy() // 2
            yield Inputs(counts, pc.list_flatten(found).to_numpy().reshape(-1, 2))

    def _flat(self, name: str) -> pa.ChunkedArray:
        return pc.list_flatten(pa.concat_tables(self.slices(["object", name])).column(name))

    def last(self, ids: Collection[str]) -> dict[str, str]:
        """Return the object of each of these ids; where several objects hold one, the last of them."""
        return last_objects(self.objects, self.rows(), ids)


def last_objects(objects: pa.Table, rows: pa.Table, ids: Collection[str]) -> dict[str, str]:
    """Return the object of each of these ids among some rows of an index; the last that holds it."""
    rows = rows.filter(pc.is_in(rows.column("id"), pa.array(list(ids), pa.string())))
    names = objects.column("object").take(rows.column("object")).to_pylist()
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
    stamps, stored, kept, gone = _listed(files, kind)
    left = sorted(stamps.keys() - set(kept))
    index = Index(partial(_slices, stored, set(kept), _read_all(files, left, stamps, read)))
    if gone or len(left) > MOST_UNINDEXED:
        store_index(files, kind, index.slices(_SCHEMA.names))
    return index


def _slices(
    stored: pq.ParquetFile | None, kept: set[str], added: pa.Table, columns: list[str]
) -> Iterator[pa.Table]:
    """Yield columns of the stored objects that are kept and of the added ones, ordered by name."""
    added = added.select(columns)
    for number in range(stored.num_row_groups) if stored else ():
        assert stored
        part = stored.read_row_group(number, columns, use_threads=False)  # in a third of the memory
        names = part.column("object").to_pylist()
        if not kept.issuperset(names):
            part = part.filter(pa.array([name in kept for name in names], pa.bool_()))
        before = pc.less_equal(added.column("object"), names[-1] if names else "")
        between = added.filter(before)
        yield pa.concat_tables([part, between]).sort_by("object") if len(between) else part
        added = added.filter(pc.invert(before))
    yield added


def _listed(files: Files, kind: str) -> tuple[dict[str, Stamp], pq.ParquetFile | None, list[str], bool]:
    """Return the objects of a kind, the stored index, which of its objects fit, and whether others are gone.

    A long listing takes several requests, between which objects may be merged: it may then have neither the
    merged object nor its parts. The index is stored before parts are removed and read after the listing. So
    where it has objects that the listing lacks, the objects are listed again.
    """
    for _ in range(READS):
        stamps = files.stamps(f"results/{kind}")
        stored = _stored(files, kind)
        known = stored.read(_OF_STAMP).to_pydict() if stored else {"object": []}
        gone = not stamps.keys() >= set(known["object"])
        if not gone:
            break
    rows = zip(*known.values(), strict=True)
    kept = [name for name, *stamp in rows if stamps.get(name) == tuple(stamp)]
    return stamps, stored, kept, gone


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
            pa.array([stamp.etag for _, stamp, _ in entries], _TEXT),
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


def _stored(files: Files, kind: str) -> pq.ParquetFile | None:
    """Return the stored index, or None where it is missing or damaged."""
    try:
        stored = pq.ParquetFile(pa.BufferReader(files.get_checked(index_name(kind))))
    except (FileNotFoundError, CorruptObject, pa.ArrowException):
        return None
    return stored if stored.schema_arrow.equals(_SCHEMA) else None


def store_index(files: Files, kind: str, slices: Iterable[pa.Table]) -> None:
    """Store the index, except under a read-only root, where the next command reads the objects again."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, _SCHEMA, compression="zstd") as writer:
        for each in slices:
            if len(each):
                writer.write_table(each, row_group_size=SLICE)
    with contextlib.suppress(OSError):
        files.put_checked(index_name(kind), sink.getvalue().to_pybytes())
