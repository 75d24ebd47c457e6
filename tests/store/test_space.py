import subprocess
import sys

import pytest

from raysweep.errors import UserError
from raysweep.store.files import Files
from raysweep.store.space import check_space

FULL = """
import resource, signal, sys
from raysweep.store.files import Files

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
files = Files(sys.argv[1])
try:
    files.put("large", bytes(2000))
except OSError as error:
    print("refused")
files.put("small", b"fits")
"""


def test_room_is_asked_for_before_anything_is_written(tmp_path):
    check_space(Files(str(tmp_path)), 1)
    with pytest.raises(UserError, match=r"1,200,000,000.0 GB, but only .* GB are free"):
        check_space(Files(str(tmp_path)), 10**18)


def test_a_write_that_the_system_refuses_leaves_nothing(tmp_path):
    files = Files(str(tmp_path))
    files.put("large", b"before")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "refused\n"
    assert files.get("large") == b"before"
    assert files.get("small") == b"fits"
    assert files.list("tmp") == []
