"""The record of a sweep: what it asked for when it last ran, by ids, with what these are digests of.

sweeps/<name>/record           one checksummed Parquet object: a row for every trial, alignment and barrier
sweeps/<name>/record.renewed   is there while a record of something else is replaced
sweeps/<name>/sweep.yaml       the resolved sweep file, for readers
sources/<SHA-256>.py           the file of a user's own function, or of a module that it imports

Commands that look after a root go by the record alone. They need neither the user's modules nor the data, and
run no code that a file under the root names.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.errors import UserError
from raysweep.plan.desired import Desired
from raysweep.plan.done import complete, finished_levels
from raysweep.plan.fitting import Rows, fitting_rows, outdated_levels
from raysweep.plan.trials import Extent
from raysweep.store.files import CorruptObject, Files
from raysweep.store.ids import column
from raysweep.store.parquet import parquet_batches
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore

RECORD, RENEWED, RESOLVED, SOURCES = "record", "record.renewed", "sweep.yaml", "sources"
KINDS = ("trials", "alignments", "barriers", "measures")
# A row is of one of `KINDS`, of a `source` (its digest, with its relative path) or of the
# `sweep` (its name, with the text of the resolved file). The `identity` of a trial is the text whose
# digest is its id; that of an alignment or a barrier is the part that many share: all but networks and
# permutations. `extent` has in JSON what is in no id: how far a trial goes, and the splits of a barrier.
# `dropped` is null for what the sweep asks for; for what it asked for earlier it is the time (s since
# 1970) at which it ceased to. Texts that many rows share are there once in memory.
SHARED = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("kind", SHARED),
        ("id", pa.string()),
        ("identity", SHARED),
        ("extent", SHARED),
        ("dropped", pa.float64()),
    ]
)
AGAIN = "raysweep run with the sweep's file writes it again"
EXTENT = ("per_epoch", "total", "start", "levels", "checkpoints", "optimisers")


@dataclass(frozen=True)
class Record:
    """What a sweep asked for, and how far its trials go; `rows` also has what it asked for before."""

    sweep: str
    rows: pa.Table
    extents: dict[str, Extent]

    @cached_property
    def wanted(self) -> pa.Table:
        """The rows of what the sweep asks for."""
        return self.rows.filter(pc.is_null(self.rows.column("dropped")))

    @cached_property
    def former(self) -> pa.Table:
        """The rows of what the sweep asked for before, and no longer does."""
        return self.rows.filter(pc.is_valid(self.rows.column("dropped")))

    def ids(self, kind: str) -> pa.ChunkedArray:
        """Return the ids of what the sweep asks for of one of `KINDS`."""
        return rows_of(self.wanted, kind).column("id")

    def splits(self) -> list[str]:
        """Return the splits on which barriers are evaluated."""
        rows = rows_of(self.wanted, "barriers")
        return [str(split) for split in json.loads(str(rows.column("extent")[0]))] if len(rows) else []

    def sources(self) -> dict[str, str]:
        """Return the digests of the user's files by their relative paths."""
        rows = rows_of(self.wanted, "source")
        return dict(zip(*(rows.column(name).to_pylist() for name in ("identity", "id")), strict=True))

    def resolved(self) -> str:
        """Return the text of the resolved sweep file."""
        rows = rows_of(self.wanted, "sweep")
        return str(rows.column("identity")[0]) if len(rows) else ""

    def counts(self) -> dict[str, int]:
        """Return the numbers of trials, alignments and barriers, and of measurements, if any."""
        counts = {kind: len(self.ids(kind)) for kind in KINDS}
        return {kind: count for kind, count in counts.items() if count or kind != "measures"}


@dataclass(frozen=True)
class StoredRecord:
    """The record of a sweep as it is stored: that of ten million barriers is read in parts."""

    sweep: str
    where: str
    content: bytes

    def batches(
        self, kind: str | None = None, columns: Collection[str] = SCHEMA.names
    ) -> Iterator[pa.RecordBatch]:
        """Yield these columns, with the kind, of some rows at a time; of all rows or of those of a kind.

        Raises `UserError` where it is damaged.
        """
        only = ("kind", kind) if kind else None
        try:
            for batch in parquet_batches(self.where, self.content, SCHEMA, {"kind", *columns}, only=only):
                yield batch.filter(pc.equal(batch.column("kind"), kind)) if kind else batch
        except CorruptObject as error:
            raise UserError(f"{error}; {AGAIN}") from error


@dataclass(frozen=True)
class Finished:
    """What the store has of what a sweep asked for: ids, finished levels by trial, and all rows by kind.

    Of the levels in `outdated` the inputs have other bits now; these are their names.
    """

    levels: frozenset[tuple[str, int]]
    ids: dict[str, pa.ChunkedArray]
    rows: dict[str, Rows]
    outdated: dict[tuple[str, int], list[str]]

    def left(self, record: Record) -> dict[str, int]:
        """Return the numbers of trials, alignments and barriers that are not done."""
        return {kind: count - len(self.ids[kind]) for kind, count in record.counts().items()}


def finished(files: Files, record: Record) -> Finished:
    """Return what the store has of what a sweep asked for."""
    extents = record.extents
    levels, stale = finished_levels(TrialStore(files), record.sweep, extents)
    rows = fitting_rows(ResultStore(files), levels | stale)
    outdated = outdated_levels(levels | stale, rows)
    levels = {level: found for level, found in levels.items() if level not in outdated}
    trials = [
        key for key, extent in extents.items() if all((key, level) in levels for level in extent.levels)
    ]
    found = {
        "trials": pa.chunked_array([pa.array(trials, pa.string())]),
        "alignments": rows["alignments"].fitting.column("id"),
        **{kind: _complete(rows[kind].fitting, record.splits()) for kind in ("barriers", "measures")},
    }
    ids = {kind: among(record.ids(kind), each) for kind, each in found.items()}
    return Finished(frozenset(levels), ids, rows, outdated)


def _complete(rows: pa.Table, splits: list[str]) -> pa.ChunkedArray:
    return pa.chunked_array([column(complete(rows, splits).packed)])


def among(ids: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return those ids that are among others."""
    return ids.filter(pc.is_in(ids, others.combine_chunks()))


def sweep_names(files: Files) -> list[str]:
    """Return the names of the sweeps that were run under a root, whether or not they have a record."""
    names = (name.split("/") for name in files.list("sweeps"))
    return sorted({parts[1] for parts in names if len(parts) == 3 and parts[2] in (RECORD, RESOLVED)})


def read_record(files: Files, sweep: str) -> Record:
    """Return the record of a sweep. Raises `UserError` when there is none, or when it is damaged."""
    stored = stored_record(files, sweep)
    rows = pa.Table.from_batches(stored.batches(), SCHEMA).unify_dictionaries()
    try:
        return Record(sweep, rows, _extents(stored.where, rows))
    except CorruptObject as error:
        raise UserError(f"{error}; {AGAIN}") from error


def stored_record(files: Files, sweep: str) -> StoredRecord:
    """Return the record of a sweep as it is stored. Raises `UserError` when there is none."""
    name = f"sweeps/{sweep}/{RECORD}"
    where = files.where(name)
    try:
        content = files.find_checked(name)
    except CorruptObject as error:
        raise UserError(f"{error}; {AGAIN}") from error
    if content is None:
        raise UserError(
            f"{where}: is missing, because the run of this sweep has only begun or was killed early, "
            "or an earlier version of raysweep ran it; raysweep plan (or run) with its file writes it"
        )
    return StoredRecord(sweep, where, content)


def source_name(source_digest: str) -> str:
    """Return the name of the object that holds a source file with this SHA-256."""
    return f"{SOURCES}/{source_digest}.py"


def user_sources(wanted: Desired) -> dict[str, bytes]:
    """Return the files of the user's functions, and of what they import, by relative path."""
    functions = wanted.sweep.own_functions()
    return {path: content for own in functions for path, content in own.sources().items()}


def rows_of(rows: pa.Table, kind: str) -> pa.Table:
    return rows.filter(pc.equal(rows.column("kind"), kind))


def _extents(where: str, rows: pa.Table) -> dict[str, Extent]:
    """Return the extents of the trials that are asked for. Raises `CorruptObject`."""
    trials = rows_of(rows, "trials")
    trials = trials.filter(pc.is_null(trials.column("dropped")))
    columns = (trials.column(name).to_pylist() for name in ("id", "extent"))
    try:
        return {trial_id: _extent(text) for trial_id, text in zip(*columns, strict=True)}
    except (ValueError, TypeError, AttributeError) as error:
        raise CorruptObject(f"{where}: has an extent that cannot be read ({error})") from error


def _extent(text: str) -> Extent:
    found = json.loads(text)
    values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else int(v) for n, v in found.items()}
    return Extent(**values)
