"""What only a run in progress knows of its sweep, as the process is told that publishes it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from raysweep.tables.failures import Failure
from raysweep.tables.rows import Row


@dataclass(frozen=True)
class News:
    """What has failed so far, and the rows of `metrics` of the levels that are still being trained."""

    failures: Sequence[Failure] = ()
    curves: Sequence[Row] = ()

    def to_line(self) -> str:
        failures = [asdict(each) for each in self.failures]
        return json.dumps({"failures": failures, "curves": self.curves}) + "\n"

    @staticmethod
    def from_line(line: str) -> "News":
        found = json.loads(line)
        return News([Failure(**each) for each in found["failures"]], found["curves"])
