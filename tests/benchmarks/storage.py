"""A run with nothing to do, under a root in object storage that answers after 30 ms.

Ten thousand made-up trials are stored, a hundred of each setting, which the sweep does not compare. The
storage is a directory whose requests wait: as many of them, one after the other, as are sent to S3 for the
same act. Everything from the sweep file to the answer is done in a process of its own, which nothing else has
warmed up.
"""

import argparse
import contextlib
import io
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar
from unittest import mock

import yaml

from raysweep.plan.desired import desired
from raysweep.store.backends import AT_ONCE, Directory, Stamp
from raysweep.store.files import Files
from raysweep.store.records import LevelRecord, Metric
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from tests.benchmarks.records import Record

LATENCY, PAGE = 0.03, 1000  # seconds of a request; names in the answer to a listing
SECONDS = 10  # the goal
REPLICATES = 100


class Distant(Directory):
    """A directory that answers like S3: late, and a listing in pages."""

    requests: ClassVar[Counter[str]] = Counter()
    counting = threading.Lock()

    def wait(self, act: str, requests: int, at_once: int = 1) -> None:
        with self.counting:
            self.requests[act] += requests
        time.sleep(LATENCY * math.ceil(requests / at_once))

    def put(self, name: str, content: bytes) -> str:
        self.wait("put", 1)
        return super().put(name, content)

    def version(self, name: str) -> None:
        self.wait("head", 1)

    def get(self, name: str, limit: int) -> bytes | None:
        self.wait("get", 1)
        return super().get(name, limit)

    def delete(self, name: str) -> None:
        self.wait("delete", 1)
        super().delete(name)

    def exists(self, name: str) -> bool:
        self.wait("head", 1)
        return super().exists(name)

    def stamps_of(self, names: Sequence[str]) -> dict[str, Stamp]:
        self.wait("head", len(names), at_once=AT_ONCE)
        found = ((name, os.stat(f"{self.path}/{name}")) for name in names)
        return {name: Stamp(status.st_size, status.st_mtime_ns) for name, status in found}

    def stamps(self, folder: str) -> dict[str, Stamp]:
        found = super().stamps(folder)
        self.wait("list", max(1, math.ceil(len(found) / PAGE)))
        return found


def sections(trials: int) -> dict[str, object]:
    rates = [round(0.0001 * (1 + each), 4) for each in range(trials // REPLICATES)]
    train = {"dataset": "digits", "width": 8, "epochs": 1, "replicates": REPLICATES, "learning_rate": rates}
    return {"name": "stored", "train": train, "compare": {"kinds": []}, "tracking": {"enabled": False}}


def fill(root: str, trials: int) -> None:
    """Store all trials."""
    wanted, files = desired(check("stored", sections(trials))), Files(root)
    store = TrialStore(files)
    with mock.patch("os.fsync"):
        for trial_id, extent in wanted.extents.items():
            store.write_config(trial_id, {"trial_id": trial_id})
            store.commit(trial_id, 0, _record(files, trial_id, extent.checkpoints, extent.total))


def _record(files: Files, trial_id: str, steps: tuple[int, ...], total: int) -> LevelRecord:
    for step in steps:
        files.put(f"trials/{trial_id}/level_000/step_{step:08d}.safetensors", b"")
    metrics = tuple(
        Metric(step, step / total, split, 1 / 3, 0.5, 1.7e9) for step in steps for split in ("train", "test")
    )
    environment = {name: f"of {name}" for name in ("hardware", "software", "provenance", "steps")}
    return LevelRecord(total, 1.0, 0.0, metrics, dict.fromkeys(steps, "0" * 64), environment=environment)


def run(root: str, trials: int) -> None:
    """Run the sweep with nothing to do."""
    from raysweep.commands.run import execute

    path = Path(root).with_suffix(".yaml")
    path.write_text(yaml.safe_dump(sections(trials)))
    with (
        mock.patch("os.fsync"),
        mock.patch("raysweep.store.files.backend_of", return_value=Distant(root)),
        mock.patch("raysweep.store.files.Directory", _NoDirectory),
        contextlib.redirect_stdout(io.StringIO()) as said,
    ):
        code = execute([str(path)], "s3://bucket/stored", None, None)
    if code:
        raise RuntimeError(said.getvalue())


class _NoDirectory:
    """What `Files` takes for a directory: nothing."""


WORK = {"fill": fill, "run": run}


def measured(what: str, root: str, trials: int) -> dict[str, float]:
    """Do it in a process of its own; returns its seconds and its requests by kind."""
    command = [sys.executable, "-m", "tests.benchmarks.storage", "--root", root, "--work", what]
    done = subprocess.run([*command, "--trials", str(trials)], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def records(quick: bool) -> Iterator[Record]:
    """Yield the figures of 10,000 trials and three runs, or of 100 and one."""
    trials, rounds = (100, 1) if quick else (10_000, 3)
    with tempfile.TemporaryDirectory() as folder:
        root = str(Path(folder) / "root")
        measured("fill", root, trials)
        first = measured("run", root, trials)  # publishes the tables
        found = [measured("run", root, trials) for _ in range(rounds)]
        name = f"a run with nothing to do, {trials:,} trials, {1000 * LATENCY:.0f} ms a request"
        yield Record(name, "s", [each["seconds"] for each in found], goal=SECONDS)
        yield Record("its processor", "s", [each["processor"] for each in found])
        yield Record("its requests", "requests", [each["requests"] for each in found])
        yield Record("the run before, which publishes all tables", "s", [first["seconds"]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True)
    parser.add_argument("--work", required=True, choices=WORK)
    parser.add_argument("--trials", required=True, type=int)
    arguments = parser.parse_args()
    began = time.perf_counter()
    WORK[arguments.work](arguments.root, arguments.trials)
    found = {"seconds": time.perf_counter() - began, "processor": sum(os.times()[:2])}
    print(json.dumps({**found, "requests": Distant.requests.total()}))
    print(dict(Distant.requests), file=sys.stderr)


if __name__ == "__main__":
    main()
