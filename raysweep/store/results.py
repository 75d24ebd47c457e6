"""Committed results: one checksummed Parquet object per unit of work, under a deterministic name."""

import io
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.store.files import CorruptObject, Files
from raysweep.store.parquet import parquet_table

_NETWORKS = pa.list_(pa.string())
_FLOATS = pa.list_(pa.float64())

_LAYER = pa.struct(
    [
        ("parameter", pa.string()),
        ("before", pa.float64()),
        ("after", pa.float64()),
        ("displacement", pa.float64()),
        ("fixed_points", pa.float64()),
    ]
)

RESULTS: dict[str, pa.Schema] = {
    "alignments": pa.schema(
        [
            ("alignment_id", pa.string()),
            ("objective", pa.float64()),
            ("objective_identity", pa.float64()),
            ("iterations", pa.int64()),
            ("groups", _NETWORKS),
            ("permutations", pa.list_(pa.list_(pa.int32()))),
            ("layers", pa.list_(_LAYER)),
            ("seconds", pa.float64()),
        ]
    ),
    "barriers": pa.schema(
        [
            ("barrier_id", pa.string()),
            ("split", pa.string()),
            ("loss_barrier", pa.float64()),
            ("error_barrier", pa.float64()),
            ("loss_weights", _FLOATS),
            ("error_weights", _FLOATS),
            ("loss_centre", pa.float64()),
            ("error_centre", pa.float64()),
            ("curve_weights", pa.list_(_FLOATS)),
            ("curve_loss", _FLOATS),
            ("curve_error", _FLOATS),
            ("seconds", pa.float64()),
        ]
    ),
}


class ResultStore:
    """Rows of alignments and barriers as the workers committed them."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def commit(self, kind: str, unit: str, rows: list[dict[str, Any]]) -> str:
        """Write all rows of a unit of work as one object and return its name."""
        name = f"results/{kind}/{unit[:2]}/{unit}"
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, RESULTS[kind]), buffer)
        self._files.put_checked(name, buffer.getvalue())
        return name

    def read(self, name: str, columns: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """Return the rows of one object; raises `CorruptObject`."""
        rows: list[dict[str, Any]] = self.table(name, columns).to_pylist()
        return rows

    def table(self, name: str, columns: Iterable[str] | None = None) -> pa.Table:
        """Return one object as a table; raises `CorruptObject`."""
        payload = self._files.get_checked(name)
        kind = name.split("/")[1]
        return parquet_table(self._files.where(name), payload, RESULTS[kind], columns)

    def rows(self, kind: str, columns: Iterable[str] | None = None) -> dict[tuple[str, ...], dict[str, Any]]:
        """Return every committed row by its key, (alignment_id,) or (barrier_id, split).

        Damaged objects are passed over: their units count as not done. `_object` is where a row lies.
        """
        key = ("alignment_id",) if kind == "alignments" else ("barrier_id", "split")
        found: dict[tuple[str, ...], dict[str, Any]] = {}
        for name in self._files.list(f"results/{kind}"):
            try:
                rows = self.read(name, columns)
            except CorruptObject:
                continue
            for row in rows:
                found[tuple(row[column] for column in key)] = row | {"_object": name}
        return found
