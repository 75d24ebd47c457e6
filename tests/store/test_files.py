import pytest

from raysweep.errors import UserError
from raysweep.store.files import CorruptObject, Files


def test_one_flipped_bit_is_detected(tmp_path):
    files = Files(str(tmp_path))
    files.put_checked("a/b", b"payload")
    assert files.get_checked("a/b") == b"payload"
    content = bytearray(files.get("a/b"))
    content[-1] ^= 1
    files.put("a/b", bytes(content))
    with pytest.raises(CorruptObject, match="checksum"):
        files.get_checked("a/b")


def test_names_never_leave_the_root(tmp_path):
    with pytest.raises(ValueError, match="leaves the root"):
        Files(str(tmp_path)).put("../escape", b"")


def test_root_that_is_a_file_is_one_message(tmp_path):
    (tmp_path / "root").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Files(str(tmp_path / "root")).check_writable()
