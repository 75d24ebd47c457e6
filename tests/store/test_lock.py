import errno
import os
import subprocess
import sys

import pytest

from raysweep.errors import UserError
from raysweep.store import lock
from raysweep.store.files import Files
from raysweep.store.lock import exclusive_root_lock, shared_root_lock, sweep_lock

pytestmark = pytest.mark.slow

HOLD = """
import sys
from raysweep.store.files import Files
from raysweep.store.lock import shared_root_lock, sweep_lock

files = Files(sys.argv[1])
with shared_root_lock(files), sweep_lock(files, "s"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that works on the sweep s."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_driver_says_so_and_stops(holder, tmp_path):
    files = Files(str(tmp_path))
    message = rf"another raysweep run .* \(process {holder.pid} on"
    with shared_root_lock(files):
        with pytest.raises(UserError, match=message), sweep_lock(files, "s"):
            pass
        with sweep_lock(files, "other"):
            pass


def test_runs_and_imports_keep_others_from_deleting(holder, tmp_path):
    files = Files(str(tmp_path))
    with pytest.raises(UserError, match="is at work"), exclusive_root_lock(files):
        pass
    holder.kill()
    holder.wait()
    with (
        shared_root_lock(files),
        pytest.raises(UserError, match="is at work"),
        exclusive_root_lock(files),
    ):  # before its sweep
        pass
    with exclusive_root_lock(files):
        pass


def test_a_killed_driver_leaves_no_lock_and_its_temporary_files_go(holder, tmp_path):
    files = Files(str(tmp_path))
    (tmp_path / "tmp").mkdir()
    leftover = tmp_path / "tmp" / "leftover"
    leftover.write_bytes(b"half")
    with shared_root_lock(files):
        assert leftover.exists()  # it may be the other driver's
    holder.kill()
    holder.wait()
    with shared_root_lock(files), sweep_lock(files, "s"):
        assert not leftover.exists()


def test_no_driver_keeps_another_from_its_sweep(tmp_path):
    """Neither while it starts, nor while it clears."""
    start = [sys.executable, "-c", HOLD.replace('"s"', "sys.argv[2]"), str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    drivers = [subprocess.Popen([*start, f"s{index}"], **pipes) for index in range(6)]
    assert [driver.communicate(b"")[0] for driver in drivers] == [b"held\n"] * 6


def test_in_a_bucket_nobody_deletes_beside_a_run(storage):
    files = Files("s3://bucket/lease")
    with (
        shared_root_lock(files),
        shared_root_lock(files),
        pytest.raises(UserError, match="is at work under s3://bucket/lease"),
        exclusive_root_lock(files),
    ):
        pass
    with (
        exclusive_root_lock(files),
        pytest.raises(UserError, match="deletes under"),
        shared_root_lock(files),
    ):
        pass
    assert files.list("leases") == []


def test_in_a_bucket_what_is_old_goes(storage, monkeypatch):
    """Nobody knows who is at work there."""
    files = Files("s3://bucket/lock")
    files.put("tmp/leftover", b"half")
    with shared_root_lock(files):
        assert files.list("tmp") == ["tmp/leftover"]
    monkeypatch.setattr(lock, "ABANDONED", 0.0)
    with shared_root_lock(files):
        assert files.list("tmp") == []


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    """As one of NFS may be; the same command would never go on there."""

    def flock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", flock)
    files = Files(str(tmp_path))
    for held in (shared_root_lock(files), exclusive_root_lock(files), sweep_lock(files, "s")):
        with pytest.raises(UserError, match="its file system gives no locks"), held:
            pass
