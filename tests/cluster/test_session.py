import re

import pytest
from ray.exceptions import AuthenticationError

from raysweep.cluster.session import ray_session, reason
from raysweep.errors import UserError


def test_an_address_that_does_not_answer_is_one_message():
    with pytest.raises(UserError, match=r"--address 127\.0\.0\.1:1: .*refused"), ray_session("127.0.0.1:1"):
        pass


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        (None, PermissionError(13, "Permission denied", "HOME/.ray"), "cannot write to HOME = HOME"),
        (None, OSError("AF_UNIX path length cannot exceed 107 bytes: /x"), "set RAY_TMPDIR=/tmp"),
        (None, RuntimeError("no\nmore"), "Ray cannot start on this machine: no"),
        ("auto", AuthenticationError("Unauthenticated"), "--address auto: .* token .*RAY_AUTH_TOKEN_PATH"),
        ("auto", ConnectionError("no Ray"), "--address auto: no Ray .*RAY_AUTH_TOKEN_PATH"),
    ],
)
def test_what_keeps_ray_from_starting_is_named_for_what_it_is(address, error, said, monkeypatch, tmp_path):
    """As Ray raises them with a HOME without write access, a long TMPDIR, and no token."""
    monkeypatch.setenv("HOME", str(tmp_path))
    if isinstance(error, PermissionError):
        error.filename = error.filename.replace("HOME", str(tmp_path))
    found = reason(address, error).replace(str(tmp_path), "HOME")
    assert len(found.splitlines()) == 1
    assert "None" not in found
    assert re.search(said, found)
