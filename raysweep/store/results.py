"""Committed results: one checksummed Parquet object per job, under a deterministic name."""

import hashlib
import io
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.digest import ID_CHARACTERS
from raysweep.store.backends import Stamp
from raysweep.store.files import CorruptObject, Files
from raysweep.store.index import Entry, Index, discard_index, indexed
from raysweep.store.inputs import number_of, numbers_of, permutation_digest
from raysweep.store.parquet import parquet_table, table_of

Item = TypeVar("Item")
Found = TypeVar("Found")

_TEXTS = pa.list_(pa.string())
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
            ("groups", _TEXTS),
            ("permutations", pa.list_(pa.list_(pa.int32()))),
            # Of the units of each group, empty where they are 1; null without any. Rotations are listed block
            # by block and row by row.
            ("factors", pa.list_(_FLOATS)),
            ("rotations", pa.list_(_FLOATS)),
            ("layers", pa.list_(_LAYER)),
            ("seconds", pa.float64()),
            ("hardware", pa.string()),
            ("software", pa.string()),
            ("provenance", pa.string()),
            ("inputs", _TEXTS),
            ("digest", pa.string()),
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
            ("inputs", _TEXTS),
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
        ("inputs", _TEXTS),
    ]
)

# Columns that results of earlier versions lack.
LATER = ("factors", "rotations", "hardware", "software", "execution", "provenance", "inputs", "digest")

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
        self._files.put_checked(name, _packed(table_of(rows, RESULTS[kind])))
        return name

    def merge(self, names: list[str]) -> str:
        """Write the rows of several objects of a kind as one, named after its content; return its name.

        Raises `CorruptObject` and `FileNotFoundError` as `read` does.
        """
        content = _packed(pa.concat_tables(self._files.at_once(self.read, names)))
        job = hashlib.sha256(content).hexdigest()[:ID_CHARACTERS]
        name = f"results/{names[0].split('/')[1]}/{job[:2]}/{job}"
        self._files.put_checked(name, content)
        return name

    def read(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Return the rows of one object, named `results/<kind>/...`.

        Raises `CorruptObject` for an object that is damaged or was written by another version of raysweep,
        and discards the index that lists it. Raises `FileNotFoundError` for one that is not there, which may
        have been merged with others.
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
        return indexed(self._files, kind, self.entry)

    def entry(self, name: str) -> Entry:
        """Return what the index keeps of an object. Raises like `read`."""
        kind = name.split("/")[1]
        rows = self.read(name, [ID[kind], "split", "inputs", "digest"])
        inputs = [numbers_of(each or []) for each in rows.column("inputs").to_pylist()]
        return Entry(
            rows.column(ID[kind]).combine_chunks(),
            rows.column("split").combine_chunks() if kind != "alignments" else pa.nulls(len(rows)),
            pa.array(inputs, pa.list_(pa.int64())),
            pa.array(self._digests(name, rows)) if kind == "alignments" else pa.nulls(len(rows)),
        )

    def _digests(self, name: str, rows: pa.Table) -> list[int]:
        """The hashes of what alignments found; earlier versions did not store the digests of that."""
        found = rows.column("digest").to_pylist()
        if None in found:
            found = map(permutation_digest, self.read(name, ["groups", "permutations"]).to_pylist())
        return [number_of(digest) for digest in found]

    def at_once(self, work: Callable[[Item], Found], items: Sequence[Item]) -> list[Found]:
        """Return `work` of every item, as `Files.at_once` does."""
        return self._files.at_once(work, items)

    def stamps(self, kind: str) -> dict[str, Stamp]:
        """Return the sizes and the times of writing of all objects of a kind."""
        return self._files.stamps(f"results/{kind}")

    def discard_index(self, kind: str) -> None:
        """Have the index rebuilt from the objects, because it does not match them."""
        discard_index(self._files, kind)


def _packed(rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    return buffer.getvalue()
