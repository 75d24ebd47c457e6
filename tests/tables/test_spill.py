"""Rows that are sorted by way of the disk come back bucket by bucket, the same whatever the parts."""

import pyarrow as pa
import pytest

from raysweep.digest import digest
from raysweep.tables import publishing
from raysweep.tables.schemas import BUCKETS
from raysweep.tables.spill import Spill

SCHEMA = pa.schema([("id", pa.string()), ("split", pa.string()), ("values", pa.list_(pa.float64()))])
ROWS = [
    {"id": digest(number), "split": split, "values": [float(number)] * (number % 3)}
    for number in range(150)
    for split in ("train", "test")
]


@pytest.mark.parametrize("many", [False, True])
def test_every_bucket_comes_back_in_order(many, monkeypatch):
    monkeypatch.setattr(publishing, "SLICE", 7)
    found = []
    with Spill(SCHEMA, "id", many) as spill:
        for start in range(0, len(ROWS), 50):
            spill.add(pa.Table.from_pylist(ROWS[start : start + 50], SCHEMA))
        for bucket in range(BUCKETS):
            slices = list(publishing._sorted(spill.read(bucket), SCHEMA))
            assert all(len(each) == 7 for each in slices[:-1])
            assert {row["id"][0] for each in slices for row in each.to_pylist()} == {f"{bucket:x}"}
            found += [row for each in slices for row in each.to_pylist()]
    assert found == sorted(ROWS, key=lambda row: (row["id"], row["split"]))


def test_a_bucket_without_rows_is_an_empty_table():
    with Spill(SCHEMA, "id", False) as spill:
        (empty,) = publishing._sorted(spill.read(3), SCHEMA)
    assert (len(empty), empty.schema) == (0, SCHEMA)
