"""Rows sorted into buckets on this machine's disk, where they would not fit into memory."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from raysweep.store.ids import BYTES, pack_column
from raysweep.tables.schemas import BUCKETS

PARTS = 16  # of a bucket
ROWS = 5000  # are gathered before they are written


class Spill:
    """Takes tables of one schema in any order and returns their rows bucket by bucket.

    The first hexadecimal digit of the column `key` determines the bucket of a row. Rows of a bucket are in
    several parts, by the second digit, where they are `many`.
    """

    def __init__(self, schema: pa.Schema, key: str, many: bool) -> None:
        self._schema, self._key, self._parts = schema, key, PARTS if many else 1
        self._gathered: list[pa.Table] = []
        self._count = 0
        self._stack = contextlib.ExitStack()
        self._writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}

    def __enter__(self) -> "Spill":
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="raysweep-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, rows: pa.Table) -> None:
        self._gathered.append(rows)
        self._count += len(rows)
        if self._count >= ROWS:
            self._write()

    def read(self, bucket: int) -> Iterator[pa.Table]:
        """Yield the rows of a bucket, in parts of ascending keys; none can be added afterwards."""
        self._write()
        for part in range(bucket * self._parts, (bucket + 1) * self._parts):
            if part in self._writers:
                self._writers[part].close()
                with pa.OSFile(str(self._path(part))) as file:
                    yield pa.ipc.open_stream(file).read_all()

    def _write(self) -> None:
        if not self._gathered:
            return
        rows = pa.concat_tables(self._gathered).combine_chunks()
        self._gathered, self._count = [], 0
        first = np.frombuffer(pack_column(rows.column(self._key)).tobytes(), np.uint8)[::BYTES]
        parts = first // (256 // (BUCKETS * self._parts))
        numbers, starts = np.unique(np.sort(parts), return_index=True)
        rows = rows.take(np.argsort(parts, kind="stable"))
        for number, start, end in zip(numbers.tolist(), starts, [*starts[1:], len(rows)], strict=True):
            self._writer(number).write_table(rows.slice(start, end - start))

    def _writer(self, part: int) -> pa.ipc.RecordBatchStreamWriter:
        if part not in self._writers:
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            file = self._stack.enter_context(pa.OSFile(str(self._path(part)), "wb"))
            self._writers[part] = self._stack.enter_context(
                pa.ipc.new_stream(file, self._schema, options=options)
            )
        return self._writers[part]

    def _path(self, part: int) -> Path:
        return self._folder / str(part)
