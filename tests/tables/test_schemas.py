"""Rows are strict: what a schema lacks is not dropped, and what a row lacks is not null."""

from dataclasses import asdict

import pytest

from raysweep.store.files import Files
from raysweep.store.parquet import table_of
from raysweep.store.results import RESULTS, ResultStore
from raysweep.tables.failures import Failure
from raysweep.tables.schemas import TABLES, schema
from tests.store.results import barrier_rows

pytestmark = pytest.mark.versions

LAYER = {"parameter": "a", "before": 0.0, "after": 0.0, "displacement": 0.0, "fixed_points": None}


def row(table):
    return dict.fromkeys(schema(table).names)


@pytest.mark.parametrize("table", TABLES)
def test_a_row_of_any_table_has_its_columns_and_no_others(table):
    whole, last = row(table), schema(table).names[-1]
    assert table_of([whole], schema(table)).num_rows == 1
    with pytest.raises(ValueError, match="missing: none; unexpected: swept"):
        table_of([whole, {**whole, "swept": 1}], schema(table))
    whole.pop(last)
    with pytest.raises(ValueError, match=f"missing: {last}; unexpected: none"):
        table_of([whole], schema(table))


@pytest.mark.parametrize("change", [{"swept": 1}, {"seconds": ...}])
def test_nothing_is_committed_that_does_not_fit(tmp_path, change):
    rows = [{k: v for k, v in (row | change).items() if v is not ...} for row in barrier_rows("a" * 20)]
    files = Files(str(tmp_path))
    with pytest.raises(ValueError, match="does not fit its columns"):
        ResultStore(files).commit("barriers", "a" * 20, rows)
    assert files.list("results") == []


def test_nested_rows_are_strict_too():
    alignment = {**dict.fromkeys(RESULTS["alignments"].names), "layers": [LAYER]}
    assert table_of([alignment], RESULTS["alignments"]).column("layers").to_pylist() == [[LAYER]]
    for layers in ([{**LAYER, "agreement": 0.5}], [LAYER, {"parameter": "a"}]):
        with pytest.raises(ValueError, match="row: layers does not fit its columns"):
            table_of([{**alignment, "layers": layers}], RESULTS["alignments"])


def test_all_that_is_committed_is_published():
    """But for permutations, which are read from the results, and the digests by which results are checked."""
    published = {*schema("alignments").names, *schema("layers").names}
    assert set(RESULTS["alignments"].names) - published == {
        *("groups", "permutations", "factors", "rotations", "layers"),
        *("inputs", "digest"),
    }
    curves = {f"curve_{name}" for name in schema("curves").names[2:]}
    assert set(RESULTS["barriers"].names) - {"inputs"} <= {*schema("barriers").names, *curves}


def test_a_failure_is_a_row():
    table_of([asdict(Failure("a" * 20, "trial", "why", 1, "node"))], schema("failures"))
