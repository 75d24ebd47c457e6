"""Addresses of MLflow: databases of any name, and no password where anybody reads it."""

import json
import os
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from raysweep.store.files import Files
from raysweep.tracking.address import database_uri, shown, without_password
from raysweep.tracking.marker import Marker, read_marker, still_there, write_marker
from raysweep.tracking.root_id import RECORD, root_id
from raysweep.tracking.user import NOBODY, user

SECRET = "http://ann:s3cret@host:5000/path"


@pytest.mark.parametrize("name", ["plain", "a b", "what?", "50%", "%20", "a#b", "ü"])
def test_a_database_lies_where_the_root_is(name):
    path = Path("/roots") / name / "mlflow.db"
    assert make_url(database_uri(path)).database == str(path)


def test_passwords_are_not_shown():
    assert shown(SECRET) == "http://host:5000/path"
    assert shown("postgresql://ann:s3cret@db/x") == "postgresql://db/x"
    assert shown("http://host:5000") == "http://host:5000"
    message = f"API request to {SECRET} failed: ann:s3cret, s3cret"
    assert "s3cret" not in without_password(message, SECRET)
    assert without_password("all is well", "http://host") == "all is well"


def test_passwords_in_a_query_are_not_shown():
    uri = "postgresql://db/x?user=ann&password=s3cret&sslmode=require"
    assert shown(uri) == "postgresql://db/x"
    message = without_password(f"{uri} does not answer: s3cret is refused", uri)
    assert message == "postgresql://db/x does not answer: *** is refused"
    assert without_password("is it there?", "http://host") == "is it there?"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"uri": "u"}', b'{"uri": 3, "content": "", "x": 1}', b"\xff"]
)
def test_a_damaged_marker_is_none(content, tmp_path):
    files = Files(str(tmp_path))
    files.put("sweeps/s/tracking.json", content)
    assert read_marker(files, "sweeps/s/tracking.json") is None


def test_a_marker_is_read_as_it_was_written(tmp_path):
    files, marker = Files(str(tmp_path)), Marker("u", "c", "1", "2", "FINISHED", 0)
    assert read_marker(files, "m") is None
    write_marker(files, "m", marker)
    assert read_marker(files, "m") == marker


def test_a_run_is_not_there_without_its_database(tmp_path):
    files = Files(str(tmp_path))
    uri, marker = database_uri(tmp_path / "mlflow.db"), Marker("u", "c", "1", "run", "FINISHED", 0)
    assert not still_there(files, uri, marker)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mlflow.db").write_bytes(b"no database")
    assert not still_there(files, uri, marker)


def test_runs_are_those_of_the_user(monkeypatch):
    """By the name at the server, or on this machine; in a container it may have none."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    assert user() == "ann"
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.setenv("LOGNAME", "bob")
    assert user() == "bob"
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 5)
    assert user() == NOBODY


def test_a_moved_root_keeps_its_id_and_a_copy_gets_one(tmp_path):
    (tmp_path / "one").mkdir()
    one = root_id(Files(str(tmp_path / "one")))
    assert root_id(Files(str(tmp_path / "one"))) == one
    (tmp_path / "one").rename(tmp_path / "two")
    assert root_id(Files(str(tmp_path / "two"))) == one
    content = (tmp_path / "two" / RECORD).read_bytes()
    (tmp_path / "three").mkdir()
    (tmp_path / "three" / RECORD).write_bytes(content)
    assert root_id(Files(str(tmp_path / "three"))) != one
    (tmp_path / "link").symlink_to(tmp_path / "two")  # the same root by another path
    assert root_id(Files(str(tmp_path / "link"))) == one
    (tmp_path / "two" / RECORD).write_text("damaged")
    assert root_id(Files(str(tmp_path / "two"))) != one
    assert json.loads((tmp_path / "two" / RECORD).read_text())["root"] == str(tmp_path / "two")
