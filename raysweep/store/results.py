"""Committed results: one checksummed Parquet object per job, under a deterministic name."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.store.backends import Stamp
from raysweep.store.files import CorruptObject, Files
from raysweep.store.index import Index, discard_index, indexed
from raysweep.store.parquet import parquet_table, table_of

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
            ("hardware", pa.string()),
            ("software", pa.string()),
            ("provenance", pa.string()),
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
            ("hardware", pa.string()),
            ("software", pa.string()),
            ("execution", pa.string()),
            ("provenance", pa.string()),
        ]
    ),
}

_PART = pa.struct(
    [
        ("part", pa.string()),
        ("largest", pa.float64()),
        ("centre", pa.float64()),
        ("largest_excess", pa.float64()),
        ("centre_excess", pa.float64()),
        ("ends", _FLOATS),
        ("values", _FLOATS),
    ]
)
RESULTS["measures"] = pa.schema(
    [
        ("measure_id", pa.string()),
        ("split", pa.string()),
        ("parts", pa.list_(_PART)),
        ("seconds", pa.float64()),
        ("hardware", pa.string()),
        ("software", pa.string()),
        ("provenance", pa.string()),
    ]
)

LATER = ("hardware", "software", "execution", "provenance")  # columns that results of earlier versions lack

ID = {"alignments": "alignment_id", "barriers": "barrier_id", "measures": "measure_id"}


class ResultStore:
    """The rows of alignments and barriers, as the workers committed them."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def commit(self, kind: str, job: str, rows: list[dict[str, Any]]) -> str:
        """Write all rows of a job as one object and return the object's name.

        Raises `ValueError` for a row that lacks a column or has an unknown one.
        """
        name = f"results/{kind}/{job[:2]}/{job}"
        buffer = io.BytesIO()
        pq.write_table(table_of(rows, RESULTS[kind]), buffer)
        self._files.put_checked(name, buffer.getvalue())
        return name

    def read(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Return the rows of one object, named `results/<kind>/...`.

        Raises `CorruptObject` for an object that is damaged or was written by another version of raysweep,
        and discards the index that lists it.
        """
        kind = name.split("/")[1]
        try:
            content = self._files.get_checked(name)
            return parquet_table(self._files.where(name), content, RESULTS[kind], columns, LATER)
        except CorruptObject:
            self.discard_index(kind)
            raise

    def index(self, kind: str) -> Index:
        """Return the index of all undamaged objects of a kind; see `raysweep.store.index.indexed`."""

        def read(name: str) -> tuple[pa.Array, pa.Array]:
            rows = self.read(name, [ID[kind], "split"])
            ids = rows.column(ID[kind]).combine_chunks()
            if "split" in rows.column_names:
                return ids, rows.column("split").combine_chunks()
            return ids, pa.nulls(len(ids), pa.string())

        return indexed(self._files, kind, read)

    def stamps(self, kind: str) -> dict[str, Stamp]:
        """Return the sizes and the times of writing of all objects of a kind."""
        return self._files.stamps(f"results/{kind}")

    def discard_index(self, kind: str) -> None:
        """Have the index rebuilt from the objects, because it does not match them."""
        discard_index(self._files, kind)
