"""Publishing the tables of a sweep: a file per bucket, each replaced atomically and only when it changes."""

import contextlib
import hashlib
import io
import json
from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from raysweep.plan.done import manifest_name
from raysweep.store.files import CorruptObject, Files
from raysweep.tables.schemas import BUCKETS, schema


class Published(NamedTuple):
    """A published file: the digest of its inputs (None: make it again), its stamp, and its SHA-256."""

    inputs: str | None
    size: int
    modified: int
    etag: str
    sha256: str


_MANIFEST = TypeAdapter(dict[str, Published])


def published(files: Files, sweep: str) -> dict[str, Published]:
    """Return what the manifest of a sweep's tables says of each file; nothing where there is no manifest."""
    try:
        return _MANIFEST.validate_json(files.get(manifest_name(sweep)))
    except (FileNotFoundError, CorruptObject, ValueError):
        return {}


def wrong_files(files: Files, sweep: str) -> list[str]:
    """Return a line for each file of the tables that is not what was published; the next run makes it again.

    Where the manifest cannot be written, a file of another size or time is made again anyway.
    """
    version = files.version(manifest_name(sweep))
    made, problems = published(files, sweep), []
    if not made:
        return [f"{files.where(manifest_name(sweep))}: is missing, or does not describe the tables"]
    there = {name for name in files.list(f"sweeps/{sweep}") if name.endswith(".parquet")}
    for name in sorted(there | made.keys()):
        if name not in there:
            problems.append(f"{files.where(name)}: is missing")
        elif name not in made or _sha256(files, name) != made[name].sha256:
            problems.append(f"{files.where(name)}: is not the file that was published")
            if name in made:
                made[name] = made[name]._replace(inputs=None)
    if problems:
        with contextlib.suppress(OSError):
            _write(files, sweep, made, version)
    return problems


def _sha256(files: Files, name: str) -> str:
    try:
        return hashlib.sha256(files.find(name) or b"").hexdigest()
    except CorruptObject:
        return "too large to be one of ours"


def _write(files: Files, sweep: str, made: dict[str, Published], version: str | None) -> bool:
    """Write the manifest, unless it is no longer the one that was read; returns whether it is written."""
    return files.swap(manifest_name(sweep), json.dumps(made, indent=0).encode(), version)


def bucket_of(identity: str) -> int:
    """Return the bucket in which the rows of an id lie."""
    return int(identity[0], 16) % BUCKETS


def packed(table: str, parts: Iterable[pa.Table], empty: bool) -> bytes | None:
    """Return a bucket, given in parts, as Parquet; None for one without rows, unless it may be `empty`."""
    known, some = schema(table), filter(len, parts)
    first = next(some, known.empty_table() if empty else None)
    if first is None:
        return None
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, known) as writer:
        for part in chain([first], some):
            writer.write_table(part)
    return buffer.getvalue()


class Publication:
    """Replaces the buckets of a sweep's tables; `finish` removes those that are not part of them.

    A bucket that was made from the same inputs, and whose file has not been changed since, is kept. Without
    the manifest that records this, every bucket is made again.

    In object storage two drivers may publish at once, each from what it found done. `version` is that of the
    manifest before this was looked up. Who finishes while it is no longer the current one has to look again:
    the other one may have known more, and either may have overwritten what the other wrote.
    """

    def __init__(self, files: Files, sweep: str, version: str | None) -> None:
        self._files, self._sweep, self._folder = files, sweep, f"sweeps/{sweep}"
        self._version = version
        self._stamps = files.stamps(self._folder)
        self._made = published(files, sweep)
        self._kept: dict[str, Published] = {}
        self._written: dict[str, tuple[str | None, str, str]] = {}  # inputs, ETag and SHA-256 of each file

    def keep(self, table: str, bucket: int, inputs: str) -> bool:
        """Keep a bucket if it was made from inputs with this digest; returns False where it must be made."""
        name = self._name(table, bucket)
        stamp, made = self._stamps.get(name), self._made.get(name)
        if stamp is None or made is None or made[:4] != (inputs, *stamp):
            return False
        self._kept[name] = made
        return True

    def replace(self, table: str, bucket: int, parts: Iterable[pa.Table], inputs: str | None = None) -> None:
        """Publish a bucket, given in parts.

        A bucket without rows is left out, except bucket 0, which makes an empty table readable.
        """
        content = packed(table, parts, bucket == 0)
        if content is None:
            return
        name = self._name(table, bucket)
        stamp = self._stamps.get(name)
        kept = stamp and self._files.holds(name, content)
        etag = stamp.etag if stamp and kept else self._files.put(name, content)
        self._written[name] = inputs, etag, hashlib.sha256(content).hexdigest()

    def finish(self) -> bool:
        """Remove the buckets that are no longer part of the tables; record what the others were made from.

        Returns whether that is so. Otherwise another driver has published since, and nothing is recorded:
        whatever has been overwritten does not fit its manifest and is made again.
        """
        for name in self._stamps:
            if name.endswith(".parquet") and name not in self._kept and name not in self._written:
                self._files.delete(name)
        stamps = self._files.stamps(self._folder)
        made = self._kept | {
            name: Published(inputs if stamps[name].etag == etag else None, *stamps[name], sha256)
            for name, (inputs, etag, sha256) in self._written.items()
            if name in stamps  # and is not replaced or removed by another driver
        }
        return made == self._made or _write(self._files, self._sweep, made, self._version)

    def _name(self, table: str, bucket: int) -> str:
        return f"{self._folder}/{table}/{bucket:02d}.parquet"
