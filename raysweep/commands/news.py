"""What only a run in progress knows of its sweep, as the process is told that publishes it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from raysweep.tables.failures import Failure
from raysweep.tables.rows import Row


@dataclass(frozen=True)
class News:
    """What has failed so far, and the evaluations of the levels that are still being trained.

    Of each such level, `curves` has a text with its rows of `metrics` as JSON, written by the process that
    trains it. They may be of a thousand trials, so the run passes them on as they are.
    """

    failures: Sequence[Failure] = ()
    curves: Sequence[str] = ()

    def to_line(self) -> str:
        failures = json.dumps([asdict(each) for each in self.failures])
        return f"[{failures}, [{', '.join(self.curves)}]]\n"


def read_news(line: str) -> tuple[list[Failure], list[Row]]:
    """Return the failures, and the rows of all curves."""
    failures, curves = json.loads(line)
    return [Failure(**each) for each in failures], [row for curve in curves for row in curve]
