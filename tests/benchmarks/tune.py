"""What Ray Tune costs the driver for each trial, in time and memory, and whether that grows.

The real plan, frontier and Tune; trials that end at once. Everything is in a process of its own, which
`python -m tests.benchmarks.tune TRIALS` carries out, and which prints what it found.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from typing import Any
from unittest import mock

import ray
from ray import tune

from raysweep.cluster.run import run_sweep
from raysweep.plan.desired import desired
from raysweep.plan.done import Done
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.sweep.load import check
from raysweep.work.bundle import Event
from tests.benchmarks.engine import Clock, resident
from tests.benchmarks.records import Record
from tests.benchmarks.storage import REPLICATES, sections

TRIALS = 10_000
PARTS = 4  # of the trials, the first and the last of which are compared
GROWTH = 1.5  # goal: the last quarter costs at most so many times as much as the first one


class Ended(tune.Trainable):
    """In place of a process that trains: its trials end without any training."""

    def setup(self, config: dict[str, Any]) -> None:
        self._left = list(config["trial_ids"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        if not self._left:
            return {"done": True}
        event = Event(self._left.pop())
        return {"done": False, "event": asdict(event), "tried": {"attempts": 1, "node": ""}}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Do nothing."""


class Watch(Clock):
    """Notes the seconds of the processor and the memory of the driver whenever a trial ends."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[float, float]] = []

    def advance(self, stage: str, jobs: int) -> None:
        super().advance(stage, jobs)
        self.noted.append((time.process_time(), resident()))


def records(quick: bool) -> Iterator[Record]:
    """Yield the costs of a trial among the first and among the last of many (quick: of a few)."""
    trials = REPLICATES if quick else TRIALS
    command = [sys.executable, "-m", "tests.benchmarks.tune", str(trials)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    for what, unit, (first, *_, last) in (
        ("processor of the driver", "ms", found["milliseconds"]),
        ("memory of the driver", "kB", found["kilobytes"]),
    ):
        name = f"{what} per trial, the last {trials // PARTS:,} of {trials:,}"
        yield Record(name, unit, [last], GROWTH, floor=[first])


def _drive(trials: int) -> None:
    wanted, present, watch = desired(check("stored", sections(trials))), Done({}, {}, {}), Watch()
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    with (
        tempfile.TemporaryDirectory() as root,
        mock.patch("raysweep.cluster.trials.Trainable", Ended),
        mock.patch("raysweep.cluster.run.done", return_value=present),
        mock.patch("raysweep.cluster.run.publish_tables", return_value=[]),
    ):
        run_sweep(Files(root), wanted, present, todo(wanted, present), None, watch)
    ray.shutdown()
    part = trials // PARTS
    ends = [watch.noted[min(at, trials - 1)] for at in range(0, trials + 1, part)]
    spent = list(pairwise(ends))
    print(
        json.dumps(
            {
                "milliseconds": [1000 * (after[0] - before[0]) / part for before, after in spent],
                "kilobytes": [1000 * (after[1] - before[1]) / part for before, after in spent],
            }
        )
    )


if __name__ == "__main__":
    _drive(int(sys.argv[1]))
