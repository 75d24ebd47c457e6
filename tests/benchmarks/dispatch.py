"""How well one driver keeps many workers busy: the real plan, frontier, pool and Ray; workers that sleep.

A tile sleeps 0.05 s per job, times a draw from a lognormal distribution (sigma 0.5, mean 1). There are as
many workers as the free memory holds (400 MB each), at most 24. What is extrapolated says so: it assumes that
the cost of a tile to the driver stays what it is with these workers.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.engine import Case, Found, carried_out, fill
from tests.benchmarks.records import Record

SECONDS = 0.05  # that a job sleeps, on average
MEGABYTES = 400  # of memory that a worker takes, torch being imported
TILES = (0.5, 2.0)  # seconds
FEW = 4  # workers, beside which the many show whether a tile costs the driver more
GPU_SECONDS = (0.5, 2.0, 10.0)  # of a tile, for which numbers of GPUs are extrapolated
EFFICIENCY = 0.95


def available() -> float:
    """Megabytes of memory that can be taken."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(float(line.split()[1]) / 1000 for line in lines if line.startswith("MemAvailable"))


def records(quick: bool) -> Iterator[Record]:
    """Yield the figures for few workers and for many, at two sizes of tiles (quick: for some, at one)."""
    networks, checkpoints, tiles = (5, 2, TILES[:1]) if quick else (32, 8, TILES)
    many = 3 if quick else max(FEW, min(24, int(available() / MEGABYTES)))
    with tempfile.TemporaryDirectory() as folder:
        case = Case(f"{folder}/root", networks, checkpoints, sleep=SECONDS)
        fill(case)
        if not quick:
            less = replace(case, networks=14, workers=FEW)
            yield from figures(less, carried_out(less))
        for seconds in tiles:
            more = replace(case, workers=many, tile_seconds=seconds)
            found = carried_out(more)
            yield from figures(more, found)
        yield from extrapolated(found)


def figures(case: Case, found: Found) -> Iterator[Record]:
    name = f"{case.workers} workers, tiles of {case.tile_seconds:g} s"
    note = f"{found.tiles} tiles in {found.seconds:.3g} s"
    yield Record(f"{name}, share of time at tiles", "", [found.busy], EFFICIENCY, note, least=True)
    for what, seconds in (("the driver", found.processor), ("Ray's own processes", found.ray_processor)):
        cost = 1000 * seconds / found.tiles
        yield Record(f"{name}, processor of {what} per tile", "ms", [cost])


def extrapolated(found: Found) -> Iterator[Record]:
    """Yield how many workers take tiles of so many seconds as fast as one core of the driver sends them."""
    cost = found.processor / found.tiles
    for seconds in GPU_SECONDS:
        name = f"extrapolated: GPUs kept busy by one driver with tiles of {seconds:g} s"
        note = f"{1000 * cost:.3g} ms of the driver's processor a tile"
        yield Record(name, "GPUs", [seconds / cost], None, note)
