"""Commands in the test's own process, where a process of their own is not the point: it takes seconds."""

import contextlib
import io

from raysweep.cli import app
from raysweep.errors import UserError
from raysweep.plan.desired import desired
from raysweep.store.files import Files
from raysweep.store.lock import shared_root_lock
from raysweep.sweep.load import load_sweep
from tests.work.plans import carry_out, compare_all


def here(*words, code=0):
    """Run a command, on the Ray to which this process is connected if any; returns what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            ended = app([str(word) for word in words], standalone_mode=False) or 0
        except UserError as error:
            ended = 2
            print(f"error: {error}")
    assert ended == code, printed.getvalue()
    return printed.getvalue()


def carried_out(path, root, overrides=()):
    """Do what is left of a sweep file without Ray, undisturbed; returns the root."""
    wanted, files = desired(load_sweep(str(path), list(overrides))), Files(str(root))
    with shared_root_lock(files):  # which removes what killed processes left, as it does in a run
        carry_out(wanted, files)
        compare_all(wanted, files)
    return root
