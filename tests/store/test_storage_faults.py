"""Object storage that is overloaded, hangs or loses connections: a whole object, or an error."""

import threading
from collections.abc import Callable

import pytest

from raysweep.store import clients
from raysweep.store.files import CorruptObject, Files
from tests.store.faulty import Faults, faulty_storage

pytestmark = pytest.mark.slow

KINDS = ["unavailable", "drop", "hang", "truncate"]
METHODS = ("GET", "PUT")
CONTENT = bytes(range(256)) * 1000


class SecondPart(Faults):
    """The second part of an upload is answered by 503, however often it is sent."""

    def __init__(self):
        super().__init__(["unavailable"], times=1000)

    def next(self, request):
        return super().next(request) if "partNumber=2" in request[1] else None


class Meanwhile:
    """Does something in a thread, again and again, as another driver would."""

    def __init__(self, act: Callable[[int], None]) -> None:
        self._act, self._over = act, threading.Event()
        self._thread = threading.Thread(target=self._go)

    def _go(self) -> None:
        turn = 0
        while not self._over.wait(0.02):
            turn += 1
            self._act(turn)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_an_object_that_another_driver_replaces_or_removes_is_whole_or_absent(storage):
    """Arrow asks for the size and then reads: in between the object may become longer, shorter, or vanish."""
    root = "s3://bucket/meanwhile"
    files, other = Files(root), Files(root)

    def act(turn: int) -> None:
        if turn % 5 == 4:
            other.delete("x")
        else:
            other.put_checked("x", bytes([turn % 256]) * (100 + 1000 * (turn % 3)))

    with Meanwhile(act):
        found = [files.find_checked("x") for _ in range(200)]
    assert None in found
    assert {len(content) for content in found if content is not None} == {100, 1100, 2100}
    assert all(len(set(content)) == 1 for content in found if content is not None)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(clients, "SECONDS", 0.5)
    monkeypatch.setattr(clients, "ATTEMPTS", 2)


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
def test_what_always_fails_is_an_error_and_the_old_object_stays(kind, storage, monkeypatch):
    root = f"s3://bucket/always/{kind}"
    Files(root).put_checked("object", b"before")
    with faulty_storage(Faults([kind], times=1000)), monkeypatch.context() as hopeless:
        hopeless.setattr(clients, "ATTEMPTS", 1)  # each that hangs takes five seconds
        files = Files(root)
        if kind != "truncate":  # an upload has hardly an answer
            for name in ("object", "new"):
                with pytest.raises(OSError, match=r"(?s)."):
                    files.put_checked(name, CONTENT)
        with pytest.raises((OSError, CorruptObject)):
            files.get_checked("object")
    assert Files(root).get_checked("object") == b"before"
    assert Files(root).list("") == ["object"]


@pytest.mark.parametrize(
    ("kind", "size"), [("unavailable", 1000), ("drop", 12 * 2**20)], ids=["one request", "several"]
)
def test_an_upload_that_fails_leaves_the_old_object(kind, size, storage):
    """Although the store would take a request to delete it."""
    root = f"s3://bucket/uploads/{kind}/{size}"
    Files(root).put("object", b"before")
    with faulty_storage(Faults([kind], times=1000, methods=("PUT",))):
        for name in ("object", "new"):
            with pytest.raises(OSError, match=r"(?s)."):
                Files(root).put(name, bytes(size))
    assert Files(root).get("object") == b"before"
    assert Files(root).list("") == ["object"]


def test_an_upload_that_fails_in_the_middle_publishes_no_part(storage):
    """The first part arrives, the second never does."""
    root = "s3://bucket/middle"
    Files(root).put("object", b"before")
    with faulty_storage(SecondPart()), pytest.raises(OSError, match=r"(?s)."):
        Files(root).put("object", bytes(25 * 2**20))
    assert Files(root).list("") == ["object"]
    assert Files(root).get("object") == b"before"
