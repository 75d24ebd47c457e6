"""The records of a sweep's finished levels, kept together so that they need not be read one by one.

index/levels/<sweep>    one object: each record with the stamp (size, time of writing, ETag) of its own object

The records are the truth. One whose object has another stamp by now is read again. Under a local root,
where reading is fast, nothing is kept.
"""

import contextlib
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.store.backends import Stamp
from raysweep.store.files import CorruptObject, Files

FOLDER = "index/levels"
MOST_UNKNOWN = 1000  # so many records are read every time rather than added to those that are kept
OBJECTS = 10  # of a level, up to which listing all takes less time than asking for each record
LISTED = b"listed"  # in the metadata of what is kept: how many objects there were
_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("size", pa.int64()),
        ("modified", pa.int64()),
        ("etag", pa.string()),
        ("content", pa.large_binary()),
    ]
)
_Kept = dict[str, tuple[Stamp, bytes]]
Read = Callable[[str], bytes | None]


def known_contents(files: Files, sweep: str, names: Sequence[str], read: Read) -> list[bytes | None]:
    """Return what `read` returns of each of these objects below `trials`; None where one is missing."""
    if files.directory is not None or len(names) <= MOST_UNKNOWN:
        return files.at_once(read, names)
    kept, count = _stored(files, sweep)
    listed = count < OBJECTS * len(names)
    stamps = files.stamps("trials") if listed else files.stamps_of([name for name in names if name in kept])
    fitting = {name: each for name, each in kept.items() if stamps.get(name) == each[0]}
    left = [name for name in names if name not in fitting]
    if len(left) > MOST_UNKNOWN and not listed:
        listed, stamps = True, files.stamps("trials")
    if listed:
        left = [name for name in left if name in stamps]
    found = dict(zip(left, files.at_once(read, left), strict=True))
    if len(left) > MOST_UNKNOWN:  # listed before they were read: what was replaced meanwhile does not fit
        added = {name: (stamps[name], content) for name, content in found.items() if content is not None}
        _store(files, sweep, fitting | added, len(stamps))
    return [fitting[name][1] if name in fitting else found.get(name) for name in names]


def _stored(files: Files, sweep: str) -> tuple[_Kept, int]:
    """Return the records that are kept, and how many objects of trials there were then.

    There are none where they are missing or damaged.
    """
    try:
        table = pq.read_table(pa.BufferReader(files.get_checked(f"{FOLDER}/{sweep}")))
        columns = [table.column(name).to_pylist() for name in _SCHEMA.names]
        listed = int((table.schema.metadata or {})[LISTED])
    except (FileNotFoundError, CorruptObject, pa.ArrowException, KeyError, ValueError):
        return {}, 0
    rows = zip(*columns, strict=True)
    return {name: (Stamp(*stamp), content) for name, *stamp, content in rows}, listed


def _store(files: Files, sweep: str, kept: _Kept, listed: int) -> None:
    """Keep records, except under a root that can only be read."""
    stamps, contents = zip(*kept.values(), strict=True)
    columns = (list(kept), *zip(*stamps, strict=True), contents)
    sink = pa.BufferOutputStream()
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    schema = _SCHEMA.with_metadata({LISTED: str(listed)})
    pq.write_table(pa.table(arrays, schema=schema), sink, compression="zstd")
    with contextlib.suppress(OSError):
        files.put_checked(f"{FOLDER}/{sweep}", sink.getvalue().to_pybytes())
