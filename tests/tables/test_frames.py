"""Tables as data frames."""

import pandas as pd
import pytest

from raysweep.errors import UserError
from raysweep.tables import frames
from raysweep.tables.frames import PASSED_OVER, decoded, read_frame
from raysweep.tables.schemas import TABLES, dimensions
from raysweep.vocabulary import Interpolation, Split
from tests.analysis.planned import planned


def test_a_frame_has_all_that_rows_are_about(tmp_path):
    tables = planned({})
    for name, frame in tables.items():
        frame.to_parquet(tmp_path / name)
    barriers = read_frame(tmp_path, "barriers")
    assert {*dimensions("barriers")} - {"alignment_settings"} < set(barriers)
    assert not set(barriers) & PASSED_OVER["barriers"]
    pd.testing.assert_frame_equal(barriers, pd.read_parquet(tmp_path / "barriers")[list(barriers)])
    assert list(read_frame(tmp_path, "trials")) == [name for name, _, _ in TABLES["trials"]]


def test_rows_that_nobody_asks_for_are_left_out(tmp_path):
    tables = planned({})
    tables["barriers"].to_parquet(tmp_path / "barriers")
    everything = read_frame(tmp_path, "barriers")
    found = read_frame(tmp_path, "barriers", split=Split.TEST, interpolation=Interpolation.PAIR)
    asked = everything[everything.split.eq("test") & everything.interpolation.eq("pair")]
    assert 0 < len(found) < len(everything)
    pd.testing.assert_frame_equal(found, asked.reset_index(drop=True))


def test_lists_that_rows_share_are_in_memory_once(tmp_path):
    tables = planned({}, compare={"kinds": ["via"]})
    half = len(tables["barriers"]) // 2
    (tmp_path / "barriers").mkdir()
    for number, part in enumerate((tables["barriers"][:half], tables["barriers"][half:])):
        part.to_parquet(tmp_path / "barriers" / f"{number}.parquet")
    found = read_frame(tmp_path, "barriers", ["networks", "alignments", "path"], level=0, across=None)
    for name in ("networks", "alignments"):
        assert [list(each) for each in found[name]] == [list(each) for each in tables["barriers"][name]]
        assert found[name].map(id).nunique() == found[name].map(tuple).nunique() < len(found)
    assert found.path.isna().all()
    assert list(found) == ["networks", "alignments", "path"]


def test_coded_texts_are_the_same_texts(tmp_path):
    tables = planned({})
    half = len(tables["barriers"]) // 2
    (tmp_path / "barriers").mkdir()
    for number, part in enumerate((tables["barriers"][:half], tables["barriers"][half:])):
        part.to_parquet(tmp_path / "barriers" / f"{number}.parquet")
    texts = read_frame(tmp_path, "barriers")
    coded = read_frame(tmp_path, "barriers", coded={"kind", "method", "reference", "hybrid"})
    assert set(coded.select_dtypes("category")) == {"kind", "method", "reference", "hybrid"}
    assert texts.method.isna().any()
    assert texts.hybrid.isna().all()
    pd.testing.assert_frame_equal(decoded(coded), texts)


def test_rows_that_are_published_while_they_are_read_are_not_mixed(tmp_path, monkeypatch):
    """Columns are read a few at a time: between two of these a run replaces a file."""
    path = tmp_path / "barriers" / "00.parquet"
    path.parent.mkdir()
    rows = planned({})["barriers"]
    for count in (1, 2):
        columns = frames._plain

        def replaced(*arguments, count=count, columns=columns):
            monkeypatch.setattr(frames, "_plain", columns)
            found = columns(*arguments)
            rows[:count].to_parquet(path)
            return found

        rows.to_parquet(path)
        monkeypatch.setattr(frames, "_plain", replaced)
        found = read_frame(tmp_path, "barriers")
        pd.testing.assert_frame_equal(found, pd.read_parquet(path)[list(found)])


def test_rows_without_a_column_that_others_have_are_not_taken_as_null(tmp_path):
    rows = planned({})["barriers"]
    (tmp_path / "barriers").mkdir()
    rows.to_parquet(tmp_path / "barriers/00.parquet")
    rows.drop(columns="width").to_parquet(tmp_path / "barriers/01.parquet")
    with pytest.raises(UserError, match=r"barriers: 00.parquet and 01.parquet differ in their columns"):
        read_frame(tmp_path, "barriers")


def test_a_missing_table_is_said(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_frame(tmp_path, "barriers")
