"""Rows sorted into buckets on this machine's disk, where they would not fit into memory."""

import contextlib
import tempfile
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from raysweep.tables.schemas import BUCKETS

ROWS = 5000  # are gathered before they are written


class Spill:
    """Takes tables of one schema in any order and returns their rows bucket by bucket."""

    def __init__(self, schema: pa.Schema, key: str) -> None:
        """The first hexadecimal digit of the column `key` determines the bucket of a row."""
        self._schema, self._key = schema, key
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

    def read(self, bucket: int) -> pa.Table:
        """Return the rows of a bucket in the order in which they were added; none can be added afterwards."""
        self._write()
        writer = self._writers.get(bucket)
        if writer is None:
            return self._schema.empty_table()
        writer.close()
        with pa.OSFile(str(self._path(bucket))) as file:
            return pa.ipc.open_stream(file).read_all()

    def _write(self) -> None:
        if not self._gathered:
            return
        rows = pa.concat_tables(self._gathered).combine_chunks()
        self._gathered, self._count = [], 0
        digits = pc.utf8_slice_codeunits(rows.column(self._key), 0, 1)
        for bucket in range(BUCKETS):
            part = rows.filter(pc.equal(digits, f"{bucket:x}"))
            if len(part):
                self._writer(bucket).write_table(part)

    def _writer(self, bucket: int) -> pa.ipc.RecordBatchStreamWriter:
        if bucket not in self._writers:
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            file = self._stack.enter_context(pa.OSFile(str(self._path(bucket)), "wb"))
            self._writers[bucket] = self._stack.enter_context(
                pa.ipc.new_stream(file, self._schema, options=options)
            )
        return self._writers[bucket]

    def _path(self, bucket: int) -> Path:
        return self._folder / str(bucket)
