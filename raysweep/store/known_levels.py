"""The records of a sweep's finished levels, kept together so that they need not be read one by one.

index/levels/<sweep>    one object: each record with the size and the time of writing of its own object

The records are the truth. One whose object has another size or time by now is read again. Under a local root,
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
_SCHEMA = pa.schema(
    [("name", pa.string()), ("size", pa.int64()), ("modified", pa.int64()), ("content", pa.large_binary())]
)
_Kept = dict[str, tuple[Stamp, bytes]]
Read = Callable[[str], bytes | None]


def known_contents(files: Files, sweep: str, names: Sequence[str], read: Read) -> list[bytes | None]:
    """Return what `read` returns of each of these objects below `trials`; None where one is missing."""
    if files.directory is not None or len(names) <= MOST_UNKNOWN:
        return files.at_once(read, names)
    kept = _stored(files, sweep)
    stamps = files.stamps_of([name for name in names if name in kept])
    fitting = {name: each for name, each in kept.items() if stamps.get(name) == each[0]}
    left = [name for name in names if name not in fitting]
    found: dict[str, bytes | None] = {name: content for name, (_, content) in fitting.items()}
    if len(left) <= MOST_UNKNOWN:
        found |= zip(left, files.at_once(read, left), strict=True)
    elif added := _listed(files, set(left), read):
        found |= {name: content for name, (_, content) in added.items()}
        _store(files, sweep, fitting | added)
    return [found.get(name) for name in names]


def _listed(files: Files, names: set[str], read: Read) -> _Kept:
    """List the trials, and read those of these objects that are there.

    They are listed first: what is replaced meanwhile has another time, and is read again the next time.
    """
    stamps = {name: stamp for name, stamp in files.stamps("trials").items() if name in names}
    contents = zip(stamps.items(), files.at_once(read, list(stamps)), strict=True)
    return {name: (stamp, content) for (name, stamp), content in contents if content is not None}


def _stored(files: Files, sweep: str) -> _Kept:
    """Return the records that are kept; none where these are missing or damaged."""
    try:
        table = pq.read_table(pa.BufferReader(files.get_checked(f"{FOLDER}/{sweep}")))
        columns = [table.column(name).to_pylist() for name in _SCHEMA.names]
    except (FileNotFoundError, CorruptObject, pa.ArrowException, KeyError):
        return {}
    rows = zip(*columns, strict=True)
    return {name: (Stamp(size, modified), content) for name, size, modified, content in rows}


def _store(files: Files, sweep: str, kept: _Kept) -> None:
    """Keep records, except under a root that can only be read."""
    stamps, contents = zip(*kept.values(), strict=True)
    sizes, times = zip(*stamps, strict=True)
    columns = (list(kept), sizes, times, contents)
    sink = pa.BufferOutputStream()
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    pq.write_table(pa.table(arrays, schema=_SCHEMA), sink, compression="zstd")
    with contextlib.suppress(OSError):
        files.put_checked(f"{FOLDER}/{sweep}", sink.getvalue().to_pybytes())
