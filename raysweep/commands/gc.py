"""`raysweep gc`: lists and removes what no sweep asks for: trials, results, resume points, sources, old logs.

What a sweep asks for is what it recorded when it last ran (`raysweep.plan.record`), whatever its file and the
user's modules say today.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.commands.run_log import FOLDER
from raysweep.errors import UserError
from raysweep.plan.record import RENEWED, SOURCES, Record, read_record, sweep_names
from raysweep.plan.recording import forget_former
from raysweep.store.divergence import FOLDER as DIVERGED
from raysweep.store.files import Files
from raysweep.store.known_levels import FOLDER as LEVELS
from raysweep.store.lock import exclusive_root_lock
from raysweep.store.results import RESULTS, ResultStore
from raysweep.store.resume_points import FOLDER as RESUME
from raysweep.store.trials import LOST

UNKNOWN = "no sweep under this root has recorded that it asked for it"


@dataclass(frozen=True)
class Garbage:
    """An object that no sweep asks for: its size in bytes, and why nobody does."""

    size: int
    reason: str


def collect(files: Files, delete: bool) -> Iterator[str]:
    """Yield a line for every object that no sweep asks for, by reason; remove the objects if asked.

    Raises `UserError` for a sweep without a record, or with one that is being replaced, and when objects are
    to be removed while a run or an import is, or may be, at work.
    """
    with exclusive_root_lock(files) if delete else contextlib.nullcontext():
        records = _records(files)
        found = _garbage(files, records)
        for reason in sorted({each.reason for each in found.values()}):
            chosen = {name: each for name, each in found.items() if each.reason == reason}
            yield f"{reason}: {summary(chosen)}"
            for name, each in chosen.items():
                yield f"{each.size:12,} {name}"
                if delete:
                    files.delete(name)
        if delete:
            for record in records:
                forget_former(files, record)
            for folder in ("trials", "results"):
                files.remove_empty_folders(folder)
    yield f"in all: {summary(found)}{', removed' if delete else ''}"


def garbage(files: Files) -> dict[str, Garbage]:
    """Return the objects that no sweep asks for. Raises `UserError` for a sweep without a record."""
    return _garbage(files, _records(files))


def _records(files: Files) -> list[Record]:
    names = sweep_names(files)
    for name in names:
        if files.exists(renewed := f"sweeps/{name}/{RENEWED}"):
            raise UserError(
                f"{files.where(renewed)}: the record of this sweep is being replaced, or its run was killed "
                "early; raysweep run with its file completes it"
            )
    return [read_record(files, name) for name in names]


def _garbage(files: Files, records: list[Record]) -> dict[str, Garbage]:
    asked, reasons = _asked(records), _Reasons(records)
    found = {}
    for folder in ("trials", SOURCES, DIVERGED, LOST):
        for name, size in files.sizes(folder).items():
            identity = name.split("/")[1].removesuffix(".py")
            if identity not in asked:
                found[name] = Garbage(size, reasons.of([identity]))
    for kind in RESULTS:
        found |= _results(files, kind, records, reasons)
    found |= _resume_points(files, records, reasons)
    names = {record.sweep for record in records}
    for name, size in {**files.sizes(FOLDER), **files.sizes(LEVELS)}.items():
        sweep = name.removeprefix(f"{LEVELS}/").removeprefix(f"{FOLDER}/").split("/")[0]
        if sweep not in names:
            found[name] = Garbage(size, f"the sweep {sweep} has been removed")
    return found


def _asked(records: list[Record]) -> set[str]:
    """The ids of the trials and the digests of the sources that sweeps ask for."""
    kinds = [(record, kind) for record in records for kind in ("trials", "source")]
    return {identity for record, kind in kinds for identity in record.ids(kind).to_pylist()}


class _Reasons:
    """Says of an id which sweep asked for it, and until when."""

    def __init__(self, records: list[Record]) -> None:
        self._known: dict[str, str] = {}
        for record in records:
            columns = (record.former.column(name).to_pylist() for name in ("id", "dropped"))
            for identity, dropped in zip(*columns, strict=True):
                when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(dropped))
                self._known[identity] = f"the sweep {record.sweep} asked for it until {when} UTC"

    def of(self, ids: list[str]) -> str:
        return next((self._known[each] for each in ids if each in self._known), UNKNOWN)


def _results(files: Files, kind: str, records: list[Record], reasons: _Reasons) -> dict[str, Garbage]:
    """Return the result objects of which no row is wanted; an object holds all the rows of a tile."""
    index = ResultStore(files).index(kind)
    rows = index.rows()
    wanted = pa.chunked_array([chunk for record in records for chunk in record.ids(kind).chunks], pa.string())
    asked = rows.column("object").filter(pc.is_in(rows.column("id"), wanted.combine_chunks())).unique()
    used = set(index.objects.column("object").take(asked).to_pylist())
    held: dict[str, list[str]] = {}
    if any(len(record.former) for record in records):
        columns = (index.objects.column(name).to_pylist() for name in ("object", "ids"))
        held = dict(zip(*columns, strict=True))
    return {
        name: Garbage(size, reasons.of(held.get(name, [])))
        for name, size in files.sizes(f"results/{kind}").items()
        if name not in used
    }


def _resume_points(files: Files, records: list[Record], reasons: _Reasons) -> dict[str, Garbage]:
    """Return the resume points of alignments that nobody wants, or that are done."""
    sizes = files.sizes(RESUME)
    if not sizes:
        return {}
    wanted = {identity for record in records for identity in record.ids("alignments").to_pylist()}
    finished = set(ResultStore(files).index("alignments").rows().column("id").to_pylist())
    found = {}
    for name, size in sizes.items():
        identity = name.removeprefix(f"{RESUME}/")
        if identity not in wanted:
            found[name] = Garbage(size, reasons.of([identity]))
        elif identity in finished:
            found[name] = Garbage(size, "the alignment is done")
    return found


def summary(found: dict[str, Garbage]) -> str:
    """Return the numbers of trials, result objects and other files, and their total size."""
    trials = {name.split("/")[1] for name in found if name.startswith("trials/")}
    results = sum(name.startswith("results/") for name in found)
    others = sum(not name.startswith(("trials/", "results/")) for name in found)
    size = sum(each.size for each in found.values()) / 1e6
    return f"{len(trials)} trials, {results} result objects, {others} other objects, {size:,.1f} MB"
