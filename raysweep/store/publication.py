"""Publishing the tables of a sweep: a file per bucket, each replaced atomically and only when it changes."""

import contextlib
import io
import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.store.files import Files
from raysweep.store.tables import BUCKETS, schema

MANIFEST = "published.json"  # from which inputs each bucket was made, with the stamp of its file


def forget_published(files: Files, sweep: str) -> None:
    """Have all tables of a sweep made again; where that fails, nothing is lost."""
    with contextlib.suppress(OSError):
        files.delete(f"sweeps/{sweep}/{MANIFEST}")


def bucket_of(identity: str) -> int:
    """Return the bucket in which the rows of an id lie."""
    return int(identity[0], 16) % BUCKETS


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
        buffer, rows = io.BytesIO(), 0
        with pq.ParquetWriter(buffer, schema(table)) as writer:
            for part in parts:
                writer.write_table(part)
                rows += len(part)
        if not rows and bucket:
            return
        name, content = self._name(table, bucket), buffer.getvalue()
        self._wanted.add(name)
        if inputs:
            self._inputs[name] = inputs
        stamp = self._stamps.get(name)
        if stamp is None or stamp.size != len(content) or self._files.get(name) != content:
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
        return f"{self._folder}/{table}/{bucket:02d}.parquet"

    def _manifest(self) -> dict[str, Any]:
        try:
            made = json.loads(self._files.get(f"{self._folder}/{MANIFEST}"))
        except (FileNotFoundError, ValueError):
            return {}
        return made if isinstance(made, dict) else {}
