"""The process that publishes a run in progress: `python -m raysweep.commands.publisher ROOT SWEEP`.

For each line of its input, which has the `News` of the run, it publishes what the store holds by then and
answers with a line: what could not be done. It ends with its input, and is killed when the run is.
"""

import ctypes
import importlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from raysweep.commands.news import read_news
from raysweep.commands.standing import Meter
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.record import RESOLVED
from raysweep.store.files import Files
from raysweep.sweep.load import check, parse
from raysweep.tables.failures import Failure
from raysweep.tables.publishing import publish_tables
from raysweep.tables.rows import Row

if TYPE_CHECKING:
    from raysweep.tracking import Tracker

KILLED_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


class Publisher:
    """Publishes what the store holds of a sweep; the page analyses only sweeps whose tables have changed."""

    def __init__(self, files: Files, sweep: str) -> None:
        name = f"sweeps/{sweep}/{RESOLVED}"
        self._files = files
        self._wanted = desired(check(files.where(name), parse(files.where(name), files.get(name))))
        self._meter = Meter(files, self._wanted)
        self._page = importlib.import_module("analysis.claims").Page(files)
        self._tracker: Tracker | None = None

    def publish(self, failures: Sequence[Failure], curves: Sequence[Row] = ()) -> Iterator[str]:
        """Publish everything, and yield what went wrong: nothing of it may end the run or the rest."""
        present = done(self._wanted, self._files)
        for act in (
            lambda: publish_tables(self._files, self._wanted, present, failures),
            lambda: self._meter.write(present),
            self._page.write,
            lambda: self._track(curves),
        ):
            try:
                act()
            except Exception as error:
                yield f"{type(error).__name__}: {error}"

    def _track(self, curves: Sequence[Row]) -> None:
        """Log to MLflow what is new, in the background: a server that is down holds up nothing."""
        if self._tracker is None and self._wanted.sweep.sections.tracking.enabled:
            from raysweep.tracking import Tracker

            self._tracker = Tracker(self._files, self._wanted.sweep)
        if self._tracker:
            self._tracker.update(curves)


def main() -> None:
    """Publish once for each line of the input."""
    ctypes.CDLL(None).prctl(KILLED_WITH_PARENT, signal.SIGKILL)
    os.nice(19)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints does not answer
    publisher = Publisher(Files(sys.argv[1]), sys.argv[2])
    for line in sys.stdin:
        answers.write(json.dumps(list(publisher.publish(*read_news(line)))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
