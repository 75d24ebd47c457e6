"""Writing the record of a sweep, piece by piece: that of ten million barriers is never in memory whole.

A record also has a digest of what its ids are made of, by which a later run of the same sweep knows it again.
"""

import contextlib
import hashlib
import io
import time
from collections.abc import Iterable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raysweep.digest import canonical
from raysweep.errors import UserError
from raysweep.plan.desired import Desired
from raysweep.plan.identity import trial_config
from raysweep.plan.record import (
    EXTENT,
    RECORD,
    RENEWED,
    RESOLVED,
    SCHEMA,
    Record,
    StoredRecord,
    rows_of,
    source_name,
    stored_record,
    user_sources,
)
from raysweep.plan.trials import Extent
from raysweep.store.files import NOTE, CorruptObject, Files
from raysweep.store.ids import Ids, column, pack_column
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check, parse

PIECE = 2**17  # rows that are written at a time
MADE_OF = b"raysweep.made_of"  # the key of the digest in the footer of a record


@contextlib.contextmanager
def recording(files: Files, wanted: Desired) -> Iterator[None]:
    """Record what a sweep asks for while what is inside goes on.

    The ids of ten million barriers take a minute, in which training can begin: nothing under the root is
    removed while a sweep has no record, or an object says that it is renewed. Raises `UserError` as
    `record_sweep` does.
    """
    _restore_configs(files, wanted)
    sources = _store_sources(files, wanted)
    if _recorded(files, wanted, sources):
        yield
        return
    if files.exists(f"sweeps/{wanted.sweep.name}/{RECORD}"):
        files.put(f"sweeps/{wanted.sweep.name}/{RENEWED}", NOTE)
    with ThreadPoolExecutor(1, "record") as pool:
        recorded = pool.submit(_record, files, wanted, sources)
        yield
        recorded.result()


def record_sweep(files: Files, wanted: Desired) -> None:
    """Record what a sweep asks for.

    What the last record asked for and this one does not is kept as such, so that `raysweep gc` can say whose
    it was. Raises `UserError` when a user's file was changed after the sweep was planned.
    """
    sources = _store_sources(files, wanted)
    if not _recorded(files, wanted, sources):
        _record(files, wanted, sources)


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
        name = f"sweeps/{record.sweep}/{RECORD}"
        files.put_checked(name, _parquet([record.wanted], _made_of(files.get_checked(name))))


def _restore_configs(files: Files, wanted: Desired) -> None:
    """Write those configurations of trials again that `raysweep verify` has missed."""
    store = TrialStore(files)
    lost = [wanted.trials[trial_id] for trial_id in store.lost_configs() if trial_id in wanted.trials]
    files.at_once(lambda trial: store.restore_config(trial.trial_id, trial_config(trial)), lost)


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


def _recorded(files: Files, wanted: Desired, sources: dict[str, bytes]) -> bool:
    """Whether the record of a sweep has all that it asks for now, as far as can be told without any id."""
    folder = f"sweeps/{wanted.sweep.name}"
    try:
        content = files.find_checked(f"{folder}/{RECORD}")
        if content is None or _made_of(content) != _digest(wanted, sources):
            return False
    except (CorruptObject, pa.ArrowException):
        return False
    return not files.exists(f"{folder}/{RENEWED}")


def _record(files: Files, wanted: Desired, sources: dict[str, bytes]) -> None:
    """Write the record of a sweep, with what an earlier one asked for."""
    folder, made_of = f"sweeps/{wanted.sweep.name}", _digest(wanted, sources)
    rows = _rows(wanted, sources)
    with contextlib.suppress(UserError):  # there is none that can be read
        before = stored_record(files, wanted.sweep.name)
        rows = chain(rows, [pa.concat_tables([SCHEMA.empty_table(), *_dropped(before, wanted, sources)])])
    files.put_checked(f"{folder}/{RECORD}", _parquet(rows, made_of))
    files.delete(f"{folder}/{RENEWED}")


def _digest(wanted: Desired, sources: dict[str, bytes]) -> bytes:
    """Return a digest of what the rows of a record are made of: of barriers, the numbers behind their ids."""
    sha, barriers = hashlib.sha256(str(SCHEMA).encode()), wanted.barriers
    for rows in _few_rows(wanted, sources):
        for values in rows.columns:
            sha.update("\n".join(map(str, values.to_pylist())).encode())
    sha.update(canonical([measure.how for measure in barriers.measures]).encode())
    for part in barriers.parts:
        sha.update(canonical([part.how, part.count, *part.numbers.shape]).encode())
        sha.update(part.numbers.tobytes())
    for part in barriers.parts[:1]:  # all parts share the texts
        sha.update(b"\n".join([*part.known.networks, *part.known.permutations]))
    return sha.hexdigest().encode()


def _made_of(content: bytes) -> bytes | None:
    """Return the digest in a record; None in that of an earlier version. Raises `pa.ArrowException`."""
    return (pq.read_metadata(pa.BufferReader(content)).metadata or {}).get(MADE_OF)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _rows(wanted: Desired, sources: dict[str, bytes]) -> Iterator[pa.Table]:
    """Yield the rows of what a sweep asks for, in pieces."""
    yield from _few_rows(wanted, sources)
    barriers, splits = wanted.barriers, canonical(wanted.sweep.sections.compare.splits)
    for part, ids in barriers.ids_by_part():
        yield from (_part("barriers", some, part.how, splits) for some in _pieces(ids))
    for number, measure in enumerate(barriers.measures):
        ids = barriers.measure_ids[:, number]
        yield from (_part("measures", some, measure.how) for some in _pieces(ids))


def _few_rows(wanted: Desired, sources: dict[str, bytes]) -> Iterator[pa.Table]:
    """Yield all rows but those of barriers and measurements."""
    trials, alignments = wanted.trials.values(), wanted.alignments.values()
    extents = [_text(wanted.extents[trial.trial_id]) for trial in trials]
    yield _part("sweep", pa.array([wanted.sweep.name]), [wanted.sweep.text])
    yield _part("source", pa.array(map(_sha256, sources.values()), pa.string()), list(sources))
    yield _part("trials", pa.array(wanted.trials, pa.string()), [each.identity for each in trials], extents)
    yield _part("alignments", pa.array(wanted.alignments, pa.string()), [job.how for job in alignments])


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


def _dropped(before: StoredRecord, wanted: Desired, sources: dict[str, bytes]) -> Iterator[pa.Table]:
    """Yield the rows of a record that a later one lacks, with the time at which that ceased to be wanted."""
    now = {
        "source": set(map(_sha256, sources.values())),
        "trials": wanted.trials.keys(),
        "alignments": wanted.alignments.keys(),
        "barriers": wanted.barriers.ids,
        "measures": wanted.measurements.ids,
    }
    when = time.time()
    for batch in before.batches():
        rows = pa.Table.from_batches([batch])
        there = set(rows.column("kind").unique().to_pylist())
        for kind in filter(there.__contains__, now):
            found = rows_of(rows, kind)
            gone = found.filter(pa.array(_lacking(found.column("id"), now[kind])))
            dropped = pc.fill_null(gone.column("dropped"), when)
            yield gone.set_column(SCHEMA.get_field_index("dropped"), SCHEMA.field("dropped"), dropped)


def _lacking(ids: pa.ChunkedArray, now: Set[str]) -> np.ndarray:
    """Return of each of some ids whether it is not among those of now."""
    if isinstance(now, Ids):
        return now.places(pack_column(ids)) < 0
    return np.array([each not in now for each in ids.to_pylist()], bool)


def _parquet(pieces: Iterable[pa.Table], made_of: bytes | None) -> memoryview:
    """The content of a record. Earlier versions expect strings in place of dictionaries."""
    buffer, texts = io.BytesIO(), ["kind", "identity", "extent"]
    with pq.ParquetWriter(buffer, SCHEMA, compression="zstd", store_schema=False, use_dictionary=texts) as to:
        for piece in filter(len, pieces):
            to.write_table(piece)
        if made_of is not None:
            to.add_key_value_metadata({MADE_OF: made_of})
    return buffer.getbuffer()


def _text(extent: Extent) -> str:
    return canonical({name: getattr(extent, name) for name in EXTENT})
