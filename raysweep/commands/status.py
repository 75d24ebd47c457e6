"""`raysweep status`: the progress of every sweep under a root."""

from raysweep.commands.stored_sweeps import stored_sweeps
from raysweep.plan.plan import Desired, desired, done, todo
from raysweep.store.files import Files
from raysweep.tables.schemas import read_table


def status_lines(files: Files) -> list[str]:
    """Return a line per sweep under the root, with its finished and desired jobs and its failures."""
    lines = []
    for sweep in stored_sweeps(files):
        wanted = desired(sweep)
        left = todo(wanted, done(wanted, files)).counts()
        parts = [f"{what} {total - left[what]}/{total}" for what, total in wanted.counts().items()]
        lines.append(f"{wanted.sweep.name}: {', '.join(parts)}, failures {_failures(files, wanted)}")
    return lines or [f"no sweep under {files.root}"]


def _failures(files: Files, wanted: Desired) -> int:
    """Return how much has failed, without what could not be started because of that."""
    attempts = read_table(files, wanted.sweep.name, "failures", ["attempts"]).column("attempts")
    return sum(attempt.as_py() > 0 for attempt in attempts)
