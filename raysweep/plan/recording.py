"""Writing the record of a sweep, piece by piece: that of ten million barriers is never in memory whole."""

import contextlib
import hashlib
import io
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raysweep.digest import canonical
from raysweep.errors import UserError
from raysweep.plan.plan import Desired
from raysweep.plan.record import (
    EXTENT,
    RECORD,
    RESOLVED,
    SCHEMA,
    Record,
    read_record,
    rows_of,
    source_name,
    user_sources,
)
from raysweep.plan.trials import Extent
from raysweep.store.files import CorruptObject, Files
from raysweep.store.ids import Ids, column, pack_column
from raysweep.sweep.load import check, parse

PIECE = 2**17  # rows that are written at a time


@contextlib.contextmanager
def recording(files: Files, wanted: Desired) -> Iterator[None]:
    """Record what a sweep asks for: before what is inside goes on or, the first time, at the same time.

    The ids of ten million barriers take half a minute, in which training can begin: while a sweep has no
    record, nothing under the root is removed. Raises `UserError` as `record_sweep` does.
    """
    sources = _store_sources(files, wanted)
    if files.exists(f"sweeps/{wanted.sweep.name}/{RECORD}"):
        _record(files, wanted, sources)
        yield
        return
    with ThreadPoolExecutor(1, "record") as pool:
        recorded = pool.submit(_record, files, wanted, sources)
        yield
        recorded.result()


def record_sweep(files: Files, wanted: Desired) -> None:
    """Record what a sweep asks for.

    What the last record asked for and this one does not is kept as such, so that `raysweep gc` can say whose
    it was. Raises `UserError` when a user's file was changed after the sweep was planned.
    """
    _record(files, wanted, _store_sources(files, wanted))


def adopt(files: Files, wanted: Desired) -> None:
    """Record a sweep that was run with the same file and not recorded.

    It was killed early, or an earlier version of raysweep ran it.
    """
    folder = f"sweeps/{wanted.sweep.name}"
    if files.exists(f"{folder}/{RECORD}"):
        return
    with contextlib.suppress(OSError, UserError, CorruptObject):  # no such file; nothing can be written
        stored = check("", parse("", files.get(f"{folder}/{RESOLVED}")))  # keys may have been added since
        if stored.text == wanted.sweep.text:
            record_sweep(files, wanted)


def forget_former(files: Files, record: Record) -> None:
    """Record no longer what a sweep asked for before, because it has been removed."""
    if len(record.former):
        files.put_checked(f"sweeps/{record.sweep}/{RECORD}", _parquet([record.wanted]))


def _store_sources(files: Files, wanted: Desired) -> dict[str, bytes]:
    """Store the files of the user's functions, which are returned, and the resolved sweep file."""
    sources = user_sources(wanted)
    found = {_sha256(content): content for content in sources.values()}
    for own, planned in wanted.planned_sources():
        if planned not in found:
            raise UserError(f"{own}: its file has changed since this command read it; start again")
    for source_digest, content in found.items():
        if not files.holds(source_name(source_digest), content):
            files.put(source_name(source_digest), content)
    files.put(f"sweeps/{wanted.sweep.name}/{RESOLVED}", wanted.sweep.text.encode())
    return sources


def _record(files: Files, wanted: Desired, sources: dict[str, bytes]) -> None:
    name, content = f"sweeps/{wanted.sweep.name}/{RECORD}", _parquet(_rows(wanted, sources))
    try:
        if content == files.find_checked(name):
            return
        before = read_record(files, wanted.sweep.name).rows
    except (UserError, CorruptObject):  # there is none that can be read
        files.put_checked(name, content)
        return
    if not _same(before, _rows(wanted, sources)):
        rows = chain(_rows(wanted, sources), [_dropped(before, wanted, sources)])
        files.put_checked(name, _parquet(rows))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _rows(wanted: Desired, sources: dict[str, bytes]) -> Iterator[pa.Table]:
    """Yield the rows of what a sweep asks for, in pieces."""
    barriers, splits = wanted.barriers, canonical(wanted.sweep.sections.compare.splits)
    trials, alignments = wanted.trials.values(), wanted.alignments.values()
    extents = [_text(wanted.extents[trial.trial_id]) for trial in trials]
    yield _part("sweep", pa.array([wanted.sweep.name]), [wanted.sweep.text])
    yield _part("source", pa.array(map(_sha256, sources.values()), pa.string()), list(sources))
    yield _part("trials", pa.array(wanted.trials, pa.string()), [each.identity for each in trials], extents)
    yield _part("alignments", pa.array(wanted.alignments, pa.string()), [job.how for job in alignments])
    for part, ids in barriers.ids_by_part():
        yield from (_part("barriers", some, part.how, splits) for some in _pieces(ids))
    for number, measure in enumerate(barriers.measures):
        ids = barriers.measure_ids[:, number]
        yield from (_part("measures", some, measure.how) for some in _pieces(ids))


def _pieces(packed: np.ndarray) -> Iterator[pa.Array]:
    yield from (column(packed[start : start + PIECE]) for start in range(0, len(packed), PIECE))


def _part(
    kind: str, ids: pa.Array, identities: list[str] | str, extents: list[str] | str | None = None
) -> pa.Table:
    """Rows of one kind; a text in place of a list is that of all rows."""
    columns = (kind, ids, identities, extents, None)
    return pa.table(
        [_column(c, f.type, len(ids)) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def _column(values: Any, kind: pa.DataType, count: int) -> pa.Array:
    if values is None or not count:
        return pa.nulls(count, kind)
    if isinstance(values, str):
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), [values])
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _same(before: pa.Table, pieces: Iterator[pa.Table]) -> bool:
    """Whether these are the rows of a record but for those of what was asked for earlier, at its end."""
    at = 0
    for piece in pieces:
        if not _without_dictionaries(before.slice(at, len(piece))).equals(_without_dictionaries(piece)):
            return False
        at += len(piece)
    return bool(before.column("dropped").slice(at).null_count == 0)


def _without_dictionaries(rows: pa.Table) -> pa.Table:
    """Rows whose texts are not numbered, because the numbers may differ where the texts are the same."""
    plain = [(f.name, getattr(f.type, "value_type", f.type)) for f in SCHEMA]
    return rows.cast(pa.schema(plain)).combine_chunks()


def _dropped(before: pa.Table, wanted: Desired, sources: dict[str, bytes]) -> pa.Table:
    """The rows of a record that a later one lacks, with the time at which they ceased to be asked for."""
    now = {
        "trials": Ids.of(wanted.trials),
        "alignments": Ids.of(wanted.alignments),
        "barriers": wanted.barriers.ids,
        "measures": wanted.measurements.ids,
    }
    kept = pa.array(map(_sha256, sources.values()), pa.string())
    found = rows_of(before, "source")
    gone = [found.filter(pc.invert(pc.is_in(found.column("id"), kept)))]
    for kind, ids in now.items():
        found = rows_of(before, kind)
        gone.append(found.filter(pa.array(ids.places(pack_column(found.column("id"))) < 0)))
    rows = pa.concat_tables(gone)
    when = pc.fill_null(rows.column("dropped"), time.time())
    return rows.set_column(SCHEMA.get_field_index("dropped"), SCHEMA.field("dropped"), when)


def _parquet(pieces: Iterable[pa.Table]) -> bytes | memoryview:
    """The content of a record. Earlier versions expect strings in place of dictionaries."""
    buffer, texts = io.BytesIO(), ["kind", "identity", "extent"]
    with pq.ParquetWriter(buffer, SCHEMA, compression="zstd", store_schema=False, use_dictionary=texts) as to:
        for piece in pieces:
            to.write_table(piece)
    return buffer.getbuffer()


def _text(extent: Extent) -> str:
    return canonical({name: getattr(extent, name) for name in EXTENT})
