import sys
import threading

import pytest

from raysweep.errors import UserError
from raysweep.store import clients
from raysweep.store.files import CorruptObject, Files
from tests.environment import variables
from tests.store.faulty import Faults, faulty_storage


@pytest.fixture(params=["directory", "s3"])
def root(request, tmp_path):
    if request.param == "directory":
        return str(tmp_path)
    request.getfixturevalue("storage")
    return f"s3://bucket/files/{tmp_path.name}"


def test_objects_come_back_and_go(root):
    files = Files(root)
    files.check_writable()
    large = bytes(range(256)) * 100_000  # more than one part of a multipart upload
    files.put("a/b", b"one")
    files.put("a/b", b"two")
    files.put("a/c/d", large)
    files.put("ab/c", b"x")
    assert files.get("a/b") == b"two"
    assert files.get("a/c/d") == large
    assert files.sizes("a") == {"a/b": 3, "a/c/d": len(large)}
    assert files.list("nothing") == []
    assert files.exists("a/b")
    assert not files.exists("a")
    files.delete("a/b")
    files.delete("a/b")
    assert files.list("a") == ["a/c/d"]
    assert files.list("") == ["a/c/d", "ab/c"]
    with pytest.raises(FileNotFoundError):
        files.get("a/b")


def test_one_flipped_bit_is_detected(root):
    files = Files(root)
    files.put_checked("a/b", b"payload")
    assert files.get_checked("a/b") == b"payload"
    content = bytearray(files.get("a/b"))
    content[-1] ^= 1
    files.put("a/b", bytes(content))
    with pytest.raises(CorruptObject, match="checksum"):
        files.get_checked("a/b")


@pytest.mark.parametrize("name", ["../escape", "a/../../escape", "/escape"])
def test_names_never_leave_the_root(root, name):
    with pytest.raises(ValueError, match="leaves the root"):
        Files(root).put(name, b"")


def test_root_that_is_a_file_is_one_message(tmp_path):
    (tmp_path / "root").write_text("")
    with pytest.raises(UserError, match="is a file"):
        Files(str(tmp_path / "root")).check_writable()


def test_stamps_of_some_objects_are_those_of_the_listing(root):
    files = Files(root)
    for number in range(3):
        files.put(f"a/{number}", b"x" * (1 + number))
    listed = files.stamps("a")
    assert files.stamps_of(["a/0", "a/2", "a/missing"]) == {name: listed[name] for name in ("a/0", "a/2")}


def test_an_object_takes_one_request(storage):
    """To write, to read, to look at and to remove, and where there is none, to find this out."""
    requests = Faults([], times=0)
    with faulty_storage(requests):
        files = Files("s3://bucket/one/request")
        for count, act in enumerate(
            [
                lambda: files.put("a", b"content"),
                lambda: files.get("a"),
                lambda: files.version("a"),
                lambda: files.exists("a"),
                lambda: files.stamps(""),
                lambda: files.delete("a"),
                lambda: files.find("a"),
                lambda: files.exists("a"),
            ],
            start=1,
        ):
            act()
            assert requests.answered == count


def test_a_write_on_a_condition(storage):
    files = Files("s3://bucket/swap")
    assert files.swap("a", b"first", None)
    assert not files.swap("a", b"second", None)
    first = files.version("a")
    assert files.swap("a", b"second", first)
    assert not files.swap("a", b"third", first)
    assert files.swap("a", b"second", first)  # as where the answer to the one that wrote this was lost
    assert files.get("a") == b"second"
    files.delete("a")
    assert not files.swap("a", b"third", first)
    assert files.version("a") is None


@pytest.mark.parametrize("version", ["absent", "present"])
def test_a_write_on_a_condition_whose_answer_is_lost_is_made(storage, version):
    root = f"s3://bucket/lost/{version}"
    if version == "present":
        Files(root).put("a", b"before")
    with faulty_storage(Faults(["unanswered"], times=1, methods=("PUT",))):
        assert Files(root).swap("a", b"after", Files(root).version("a"))
    assert Files(root).get("a") == b"after"


def test_what_other_tools_mark_folders_with_is_no_object(storage):
    Files("s3://bucket/marked/folder").put("empty", b"")
    Files("s3://bucket/marked").put("folder/object", b"x")
    assert Files("s3://bucket/marked").list("") == ["folder/object"]


def test_credentials_may_lie_in_a_profile(storage, monkeypatch, tmp_path):
    (tmp_path / "credentials").write_text("[mine]\naws_access_key_id = a\naws_secret_access_key = b\n")
    kept = {"AWS_ACCESS_KEY_ID": None, "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    with variables({**kept, "AWS_PROFILE": "mine"}):
        assert Files("s3://bucket/profile").check_writable()
    with variables({**kept, "AWS_PROFILE": "other"}):
        with pytest.raises(UserError, match=r"credentials of S3 cannot be read: .*other"):
            Files("s3://bucket/profile")
        monkeypatch.setitem(sys.modules, "obstore.auth.boto3", None)  # as where boto3 is not installed
        with pytest.raises(UserError, match=r"the profile other \(AWS_PROFILE\) are read by boto3: pip"):
            Files("s3://bucket/profile")


def test_a_bucket_that_does_not_exist_is_one_message(storage):
    with pytest.raises(UserError, match=r"s3://missing/x cannot be written: .*: there is no such bucket; "):
        Files("s3://missing/x").check_writable()


def test_google_storage_that_does_not_answer_is_one_message(monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    with pytest.raises(UserError, match="gs://bucket/x cannot be written"):
        Files("gs://bucket/x").check_writable()


@pytest.mark.parametrize("root", ["ftp://host/x", "s3://", "S3//x://y"])
def test_unknown_schemes_are_one_message(root):
    with pytest.raises(UserError, match="s3://bucket/prefix or gs://bucket/prefix"):
        Files(root)


def test_requests_to_object_storage_are_made_at_once(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nothing is asked of it
    all_there = threading.Barrier(8, timeout=20)

    def work(item):
        all_there.wait()
        return -item

    assert Files("s3://bucket/root").at_once(work, range(8)) == [0, -1, -2, -3, -4, -5, -6, -7]


def test_errors_of_one_of_many_requests_are_raised(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for root in ("s3://bucket/root", str(tmp_path)):
        with pytest.raises(ZeroDivisionError):
            Files(root).at_once(lambda item: 1 / item, [1, 0])
