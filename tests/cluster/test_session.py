import re
from contextlib import closing

import pytest
from ray.exceptions import AuthenticationError

from raysweep.cluster.nodes import NodeCheck
from raysweep.cluster.session import ray_session, reason
from raysweep.errors import UserError
from raysweep.store.files import Files


def test_an_address_that_does_not_answer_is_one_message():
    with pytest.raises(UserError, match=r"--address 127\.0\.0\.1:1: .*refused"), ray_session("127.0.0.1:1"):
        pass


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "http://127.0.0.1:8265"])
def test_the_address_of_a_driver_elsewhere_is_refused_with_what_to_use(address):
    with pytest.raises(UserError, match=f"--address {address}: .*raysweep submit"), ray_session(address):
        pass


class Elsewhere(Files):
    """A root that is in a container: what is written there nobody else sees at the same path."""

    def put(self, name, content):
        return ""

    def delete(self, name):
        return


def test_the_only_node_of_a_cluster_is_asked_whether_it_sees_the_root(session, tmp_path):
    root = Elsewhere(str(tmp_path))
    not_seen = pytest.raises(UserError, match=f"the root {root.root} is not seen there")
    with closing(NodeCheck(root)) as check, not_seen:
        check.check_all()


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
