"""Commands in the test's own process, where a process of their own is not the point: it takes seconds."""

from raysweep.cli import app
from raysweep.plan.plan import desired
from raysweep.store.files import Files
from raysweep.sweep.load import load_sweep
from tests.work.plans import carry_out, compare_all


def here(*words, code=0):
    """Run a command; with a Ray that is initialised it uses that one."""
    assert (app([str(word) for word in words], standalone_mode=False) or 0) == code


def carried_out(path, root):
    """Do what a sweep file asks for without Ray, undisturbed; returns the root."""
    wanted, files = desired(load_sweep(str(path))), Files(str(root))
    carry_out(wanted, files, resume_seconds=1e9)
    compare_all(wanted, files)
    return root
