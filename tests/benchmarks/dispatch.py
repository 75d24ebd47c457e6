"""How well one driver keeps many workers busy: the real plan, frontier, pool and Ray; workers that sleep.

A few processes stand for all workers, because none computes anything: each of their workers takes one tile
after the other, and sleeps as long as the tile would take. A job takes as long as a tile should: a tile is
one job, or more where so many workers would ask for tiles too often. The share of the time at tiles is that
of all workers, from when the last one has its first tile until the last tile begins.

`python -m tests.benchmarks.dispatch CASE` carries out one case, given as JSON, and prints what it found.
"""

import asyncio
import importlib
import json
import math
import pickle
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any
from unittest import mock

import ray

from raysweep.cluster.run import run_sweep
from raysweep.plan.desired import Desired
from raysweep.plan.done import Done
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.store.records import LevelRecord
from raysweep.work.tile import Tile
from tests.benchmarks.engine import Case, Clock, planned
from tests.benchmarks.records import Record

PROCESSES = 3  # that stand for the workers; each carries out about a thousand calls a second
CASES = ((24, 0.5), (24, 2.0), (1000, 2.0), (4000, 2.0), (4000, 10.0))  # workers, seconds of a job
TILES = 12  # of each worker
EFFICIENCY = 0.95
RATE = 500  # tiles a second that the driver is given
SPREAD = 0.5  # a tile takes at most this share more or less than its seconds


@dataclass(frozen=True)
class Dispatch:
    """So many workers, with jobs that take so many seconds."""

    workers: int
    seconds: float
    tiles: int = TILES

    @property
    def networks(self) -> int:
        """How many networks have enough pairs, at two checkpoints, to align and to compare."""
        jobs = math.ceil(self.workers / RATE / self.seconds)  # of a tile
        pairs = self.workers * self.tiles * jobs / 4
        return next(n for n in range(3, 10_000) if n * (n - 1) / 2 >= pairs)


def records(quick: bool) -> Iterator[Record]:
    """Yield the figures of all cases (quick: of a small one)."""
    cases = (Dispatch(3, 0.2, 4),) if quick else [Dispatch(*case) for case in CASES]
    for case in cases:
        found = carried_out(case)
        name = f"{case.workers} workers, jobs of {case.seconds:g} s"
        note = f"{found['tiles']:.0f} tiles"
        yield Record(f"{name}, share of time at tiles", "", [found["busy"]], EFFICIENCY, note, least=True)
        cost = 1000 * found["processor"] / found["tiles"]
        yield Record(f"{name}, processor of the driver per tile", "ms", [cost])


def carried_out(case: Dispatch) -> dict[str, float]:
    """Do the case in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.dispatch", json.dumps(asdict(case))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{case}: {done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


@ray.remote
class _Sleepers:
    """Many workers in one process; `spans` are the worker, the beginning and the end of each tile."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turns: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._spans: list[tuple[int, float, float]] = []
        importlib.import_module(Tile.__module__)  # not when the first tile arrives

    async def node(self) -> str:
        return str(ray.get_runtime_context().get_node_id())

    async def run(self, worker: int, pickled: bytes) -> tuple[str, float]:
        tile: Tile = pickle.loads(pickled)
        seconds = len(tile.jobs) * self._seconds * (1 + SPREAD * (int(tile.ids[0][:8], 16) / 2**31 - 1))
        async with self._turns[worker]:
            began = time.monotonic()
            await asyncio.sleep(seconds)
            self._spans.append((worker, began, time.monotonic()))
        return f"results/{tile.stage}/{tile.ids[0]}", seconds

    async def spans(self) -> list[tuple[int, float, float]]:
        return self._spans


class _Handle:
    """One of the workers of a process, in place of an actor's handle."""

    def __init__(self, process: Any, worker: int) -> None:
        self._process, self._worker = process, worker
        self.run_pickled = self.node = self

    def remote(self, tile: bytes | None = None) -> Any:
        return self._process.run.remote(self._worker, tile) if tile else self._process.node.remote()


class _Handles:
    """In place of the class of actors: starts workers."""

    def __init__(self, seconds: float) -> None:
        several = _Sleepers.options(num_cpus=0, max_concurrency=10**6)  # type: ignore[attr-defined]
        self.processes = [several.remote(seconds) for _ in range(PROCESSES)]
        self._workers = 0

    def options(self, **needs: float) -> "_Handles":
        return self

    def remote(self, *arguments: object) -> _Handle:
        self._workers += 1
        return _Handle(self.processes[self._workers % PROCESSES], self._workers)


def busy(spans: list[tuple[int, float, float]], workers: int) -> float:
    """The share of the time at tiles, from the last worker's first tile to the last tile's beginning."""
    first: dict[int, float] = {}
    for worker, began, _ in sorted(spans):
        first.setdefault(worker, began)
    start, end = max(first.values()), max(began for _, began, _ in spans)
    worked = sum(max(0.0, min(end, ended) - max(start, began)) for _, began, ended in spans)
    return worked / (workers * (end - start))


def _trained(wanted: Desired) -> Done:
    """All networks, and nothing else."""
    records = {
        (key, 0): LevelRecord(extent.total, checkpoints=dict.fromkeys(extent.checkpoints, ""))
        for key, extent in wanted.extents.items()
    }
    return Done(records, {}, {})


def _drive(case: Dispatch) -> None:
    with tempfile.TemporaryDirectory() as root:
        wanted = planned(
            Case(root, case.networks, 2, width=2, workers=case.workers, tile_seconds=case.seconds)
        )
        present = _trained(wanted)
        ray.init(address="local", num_cpus=PROCESSES, include_dashboard=False, log_to_driver=False)
        handles, clock = _Handles(case.seconds), Clock()
        ray.get([each.node.remote() for each in handles.processes])
        with (
            mock.patch("raysweep.cluster.pool.AlignWorker", handles),
            mock.patch("raysweep.cluster.pool.ray.kill"),
            mock.patch("raysweep.cluster.run.done", return_value=present),
            mock.patch("raysweep.cluster.run.publish_tables", return_value=[]),
        ):
            failures = run_sweep(Files(root), wanted, present, todo(wanted, present), None, clock)
        assert not failures
        spans = [span for each in handles.processes for span in ray.get(each.spans.remote())]
        ray.shutdown()
    print(json.dumps({"tiles": len(spans), "busy": busy(spans, case.workers), "processor": clock.spent()}))


if __name__ == "__main__":
    _drive(Dispatch(**json.loads(sys.argv[1])))
