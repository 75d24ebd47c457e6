"""Object storage that is overloaded, hangs or loses connections: a whole object, or an error."""

import pytest

from raysweep.store import places
from raysweep.store.files import CorruptObject, Files
from tests.store.faulty import Faults, faulty_storage
from tests.store.servers import s3_server

KINDS = ["unavailable", "drop", "hang", "truncate"]
METHODS = ("GET", "PUT")
CONTENT = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def storage():
    with s3_server():
        yield


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(places, "S3_SECONDS", 0.5)
    monkeypatch.setattr(places, "S3_ATTEMPTS", 3)


@pytest.mark.parametrize("kind", KINDS)
def test_what_fails_once_is_done_the_second_time(kind, storage):
    with faulty_storage(Faults([kind], times=1, methods=METHODS)):
        files = Files(f"s3://bucket/{kind}")
        files.put_checked("folder/object", CONTENT)
        assert files.get_checked("folder/object") == CONTENT
        assert files.list("folder") == ["folder/object"]
        files.delete("folder/object")
        assert not files.exists("folder/object")


@pytest.mark.parametrize("kind", KINDS)
def test_what_always_fails_is_an_error_and_the_old_object_stays(kind, storage):
    root = f"s3://bucket/always/{kind}"
    Files(root).put_checked("object", b"before")
    with faulty_storage(Faults([kind], times=1000)):
        files = Files(root)
        if kind != "truncate":  # an upload has hardly an answer
            for name in ("object", "new"):
                with pytest.raises(OSError, match=r"(?s)."):
                    files.put_checked(name, CONTENT)
        with pytest.raises((OSError, CorruptObject)):
            files.get_checked("object")
    assert Files(root).get_checked("object") == b"before"
    assert Files(root).list("") == ["object"]
