"""Leases on a directory, whose objects have times like those of a bucket."""

import os
import time

import pytest

from raysweep.errors import UserError
from raysweep.store import lease as leases
from raysweep.store.files import Files
from raysweep.store.lease import DELETE, EXPIRES, WORK, lease


@pytest.fixture
def files(tmp_path):
    return Files(str(tmp_path))


def test_many_work_and_nobody_deletes_meanwhile(files):
    with lease(files, WORK), lease(files, WORK):
        with (
            pytest.raises(UserError, match=rf"is at work under .*process {os.getpid()} on"),
            lease(files, DELETE),
        ):
            pass
        assert len(files.list("leases")) == 2
    with lease(files, DELETE):
        for purpose in (WORK, DELETE):
            with pytest.raises(UserError, match="another process deletes"), lease(files, purpose):
                pass
    assert files.list("leases") == []


def test_a_killed_process_leaves_a_lease_that_expires(files):
    files.put(f"leases/{WORK}-killed", b"process 1 on elsewhere")
    path = files.directory / f"leases/{WORK}-killed"
    for age, expired in ((EXPIRES - 60, False), (EXPIRES + 60, True)):
        os.utime(path, times=(time.time() - age,) * 2)
        if expired:
            with lease(files, DELETE):
                assert not path.exists()
        else:
            with pytest.raises(UserError, match="process 1 on elsewhere"), lease(files, DELETE):
                pass


def test_a_lease_is_renewed_and_written_again_where_it_was_removed(files, monkeypatch):
    monkeypatch.setattr(leases, "RENEWED", 0.01)
    with lease(files, WORK):
        (name,) = files.list("leases")
        files.delete(name)
        deadline = time.monotonic() + 10
        while not files.exists(name):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert files.list("leases") == []
