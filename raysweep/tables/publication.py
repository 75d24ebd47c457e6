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

MANIFEST = "published.json"  # from which inputs each bucket was made, with the stamp of its file


def forget_published(files: Files, sweep: str) -> None:
    """Have all tables of a sweep made again; where that fails, nothing is lost."""
    with contextlib.suppress(OSError):
        files.delete(f"sweeps/{sweep}/{MANIFEST}")


def bucket_of(identity: str) -> int:
    """Return the bucket in which the rows of an id lie."""
    return int(identity[0], 16) % BUCKETS


def bucket_name(folder: str, table: str, bucket: int) -> str:
    return f"{folder}/{table}/{bucket:02d}.parquet"


def packed(table: str, parts: Iterable[pa.Table], empty: bool) -> bytes | None:
    """Return a bucket, given in parts, as Parquet; None without rows, but where it may be `empty`."""
    buffer, rows = io.BytesIO(), 0
    with pq.ParquetWriter(buffer, schema(table)) as writer:
        for part in parts:
            writer.write_table(part)
            rows += len(part)
    return buffer.getvalue() if rows or empty else None


class Publication:
    """Replaces the buckets of a sweep's tables; `finish` removes those that were not asked for.

    A bucket that was made from the same inputs, and whose file nobody touched since, need not be made again.
    The manifest that says so is only a shortcut: without it everything is made again.
    """

    def __init__(self, files: Files, sweep: str) -> None:
        self._files, self._folder = files, f"sweeps/{sweep}"
        self._stamps = files.stamps(self._folder)
        self._made = self._manifest()
        self._inputs: dict[str, str] = {}
        self._wanted: set[str] = set()

    def keep(self, table: str, bucket: int, inputs: str) -> bool:
        """Keep a bucket that was made from the inputs with this digest; False where it must be made."""
        name = self._name(table, bucket)
        stamp = self._stamps.get(name)
        if stamp is None or self._made.get(name) != [inputs, *stamp]:
            return False
        self._wanted.add(name)
        self._inputs[name] = inputs
        return True

    def replace(self, table: str, bucket: int, parts: Iterable[pa.Table], inputs: str | None = None) -> None:
        """Publish a bucket, given in parts; one without rows is left out, but for bucket 0: it makes an empty
        table readable."""
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
        """Remove the buckets that are not part of the tables any more, and remember what was made."""
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
    """Takes what a `Publication` is given and publishes nothing: `problems` are the buckets that differ.

    The table `failures` is none of its business: only a run knows its rows.
    """

    def __init__(self, files: Files, sweep: str) -> None:
        self.problems: list[str] = []
        self._files, self._folder = files, f"sweeps/{sweep}"
        self._left = {name for name in files.list(self._folder) if name.endswith(".parquet")}

    def keep(self, table: str, bucket: int, inputs: str) -> bool:
        """Every bucket is made again."""
        return False

    def replace(self, table: str, bucket: int, parts: Iterable[pa.Table], inputs: str | None = None) -> None:
        """Hold a bucket against what lies there."""
        content = packed(table, parts, bucket == 0)
        if content is None:
            return
        name = bucket_name(self._folder, table, bucket)
        if name not in self._left:
            self.problems.append(f"{self._files.where(name)}: is missing")
        elif not self._files.holds(name, content):
            self.problems.append(f"{self._files.where(name)}: is not what the committed results say")
        self._left.discard(name)

    def finish(self) -> None:
        """Whatever else lies in a table's folder was not published."""
        for name in sorted(self._left):
            if name.split("/")[-2] != "failures":
                self.problems.append(f"{self._files.where(name)}: is not what the committed results say")
