import subprocess
import sys

import pytest

from raysweep.errors import UserError
from raysweep.store.files import Files
from raysweep.store.lock import no_run, sweep_lock

HOLD = """
import sys
from raysweep.store.files import Files
from raysweep.store.lock import sweep_lock

with sweep_lock(Files(sys.argv[1]), "s"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of the sweep s."""
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
    with pytest.raises(UserError, match=message), sweep_lock(files, "s"):
        pass
    with pytest.raises(UserError, match="sweep s is at work"), no_run(files):
        pass
    with sweep_lock(files, "other"):
        pass


def test_a_killed_driver_leaves_no_lock_and_its_temporary_files_go(holder, tmp_path):
    files = Files(str(tmp_path))
    (tmp_path / "tmp").mkdir()
    leftover = tmp_path / "tmp" / "leftover"
    leftover.write_bytes(b"half")
    with sweep_lock(files, "other"):
        assert leftover.exists()  # it may be the other driver's
    holder.kill()
    holder.wait()
    with sweep_lock(files, "s"), pytest.raises(UserError), no_run(files):
        pass
    assert not leftover.exists()
    with no_run(files):
        pass
