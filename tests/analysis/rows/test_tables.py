"""Tables that lack columns, as those of another version or of a sweep in progress may."""

import pandas as pd
import pytest

from analysis.rows.tables import OF_AGREEMENTS, read
from analysis.summary.evidence import evidence
from tests.analysis.planned import planned
from tests.analysis.sweeps import weak_tables, write


def without(folder, table, column):
    """The tables of a sweep of which one lacks a column."""
    tables = weak_tables()
    tables[table] = pd.DataFrame(tables[table]).drop(columns=column)
    return read(write(folder, "mine", **tables))


@pytest.mark.parametrize(
    ("table", "column"), [("trials", "dataset"), ("alignments", "networks"), ("barriers", "alignments")]
)
def test_a_table_that_lacks_a_required_column_is_left_out(table, column, tmp_path):
    found = without(tmp_path, table, column)
    assert f"table {table} left out: it lacks {column}" in found.notes
    assert getattr(found, table).empty
    assert evidence(found) == []


def test_other_columns_are_taken_as_null(tmp_path):
    found = without(tmp_path, "barriers", "error_barrier")
    (note,) = [note for note in found.notes if note.startswith("table barriers lacks")]
    assert "error_barrier" in note
    assert note.endswith("taken as null")
    assert len(found.barriers) == 24
    assert {verdict.state for verdict in evidence(found)} == {"undecided"}


def test_lists_of_agreements_that_nothing_reads_are_left_on_disk(tmp_path):
    tables = planned({}, compare={"kinds": ["direct", "composed"]})
    folder = write(tmp_path, "s", **{name: frame for name, frame in tables.items() if len(frame)})
    assert set(read(folder).agreements) == set(OF_AGREEMENTS)
