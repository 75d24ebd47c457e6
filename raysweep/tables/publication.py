"""Publishing the tables of a sweep: a file per bucket, each replaced atomically and only when it changes."""

import contextlib
import io
import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.store.files import Files
from raysweep.tables.schemas import BUCKETS, schema

MANIFEST = "published.json"  # the inputs that each bucket was made from, and the stamp of its file


def forget_published(files: Files, sweep: str) -> None:
    """Have all tables of a sweep made again. Where the manifest cannot be deleted, nothing is lost."""
    with contextlib.suppress(OSError):
        files.delete(f"sweeps/{sweep}/{MANIFEST}")


def bucket_of(identity: str) -> int:
    """Return the bucket in which the rows of an id lie."""
    return int(identity[0], 16) % BUCKETS


def bucket_name(folder: str, table: str, bucket: int) -> str:
    return f"{folder}/{table}/{bucket:02d}.parquet"


def packed(table: str, parts: Iterable[pa.Table], empty: bool) -> bytes | None:
    """Return a bucket, given in parts, as Parquet; None for one without rows, unless it may be `empty`."""
    buffer, rows = io.BytesIO(), 0
    with pq.ParquetWriter(buffer, schema(table)) as writer:
        for part in parts:
            writer.write_table(part)
            rows += len(part)
    return buffer.getvalue() if rows or empty else None


class Publication:
    """Replaces the buckets of a sweep's tables; `finish` removes those that are not part of them.

    A bucket that was made from the same inputs, and whose file has not been changed since, is kept. The
    manifest that records this only saves work: without it every bucket is made again.
    """

    def __init__(self, files: Files, sweep: str) -> None:
        self._files, self._folder = files, f"sweeps/{sweep}"
        self._stamps = files.stamps(self._folder)
        self._made = self._manifest()
        self._inputs: dict[str, str] = {}
        self._wanted: set[str] = set()

    def keep(self, table: str, bucket: int, inputs: str) -> bool:
        """Keep a bucket if it was made from inputs with this digest; returns False where it must be made."""
        name = self._name(table, bucket)
        stamp = self._stamps.get(name)
        if stamp is None or self._made.get(name) != [inputs, *stamp]:
            return False
        self._wanted.add(name)
        self._inputs[name] = inputs
        return True

    def replace(self, table: str, bucket: int, parts: Iterable[pa.Table], inputs: str | None = None) -> None:
        """Publish a bucket, given in parts.

        A bucket without rows is left out, except bucket 0, which makes an empty table readable.
        """
        content = packed(table, parts, bucket == 0)
        if content is None:
            return
        name = self._name(table, bucket)
        self._wanted.add(name)
        if inputs:
            self._inputs[name] = inputs
        if name not in self._stamps or not self._files.holds(name, content):
            self._files.put(name, content)

    def finish(self) -> None:
        """Remove the buckets that are no longer part of the tables; record what the others were made from."""
        for name in self._stamps:
            if name.endswith(".parquet") and name not in self._wanted:
                self._files.delete(name)
        stamps = self._files.stamps(self._folder)
        made = {name: [inputs, *stamps[name]] for name, inputs in self._inputs.items() if name in stamps}
        if made != self._made:
            self._files.put(f"{self._folder}/{MANIFEST}", json.dumps(made, indent=0).encode())

    def _name(self, table: str, bucket: int) -> str:
        return bucket_name(self._folder, table, bucket)

    def _manifest(self) -> dict[str, Any]:
        try:
            made = json.loads(self._files.get(f"{self._folder}/{MANIFEST}"))
        except (FileNotFoundError, ValueError):
            return {}
        return made if isinstance(made, dict) else {}


class Inspection:
    """Compares what a `Publication` would publish with what is there; `problems` says which buckets differ.

    The table `failures` is not compared, because only a run knows its rows.
    """

    def __init__(self, files: Files, sweep: str) -> None:
        self.problems: list[str] = []
        self._files, self._folder = files, f"sweeps/{sweep}"
        self._left = {name for name in files.list(self._folder) if name.endswith(".parquet")}

    def keep(self, table: str, bucket: int, inputs: str) -> bool:
        """Return False, so that every bucket is made and compared."""
        return False

    def replace(self, table: str, bucket: int, parts: Iterable[pa.Table], inputs: str | None = None) -> None:
        """Compare a bucket with the file that is there."""
        content = packed(table, parts, bucket == 0)
        if content is None:
            return
        name = bucket_name(self._folder, table, bucket)
        if name not in self._left:
            self.problems.append(f"{self._files.where(name)}: is missing")
        elif not self._files.holds(name, content):
            self.problems.append(f"{self._files.where(name)}: does not match the committed results")
        self._left.discard(name)

    def finish(self) -> None:
        """Report the files in the folders of the tables that were not published."""
        for name in sorted(self._left):
            if name.split("/")[-2] != "failures":
                self.problems.append(f"{self._files.where(name)}: does not match the committed results")
