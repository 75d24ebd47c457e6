"""Peaks of memory of driver and worker with large checkpoints, against the cache that is configured.

VGG-16 of width 64 (59 MB) on the digits, so that images and their values weigh little; not trained. Seven
networks at two checkpoints in a ring: every pair is aligned and compared (3 points, 400 images). The
reference: the same without a cache, plus the cache. Every case is a process of its own.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace

from tests.benchmarks.engine import Case, Found, carried_out, checkpoint_megabytes, fill
from tests.benchmarks.records import Record

BOUND = 1.0  # goal: no more than the worker without a cache, and the cache


def records(quick: bool) -> Iterator[Record]:
    """Yield the peaks for several sizes of the cache."""
    networks, width, caches = (4, 16, (10,)) if quick else (7, 64, (200, 400, 800))
    with tempfile.TemporaryDirectory() as folder:
        case = Case(f"{folder}/root", networks, 2, "vgg16", width, alphas=3, ring=True, cache_mb=0)
        fill(case)
        size = checkpoint_megabytes(case.root)
        bare = carried_out(case)
        note = f"{2 * networks} checkpoints of {size:.3g} MB"
        yield Record("peak of the worker without a cache", "MB", [peak(bare)], None, note)
        yield Record("peak of the driver without a cache", "MB", [bare.peak], None, note)
        for cache in caches:
            found = carried_out(replace(case, cache_mb=cache))
            name, reference = f"with a cache of {cache} MB", [peak(bare) + cache]
            loads = f"{found.total('loads'):.0f} loads, {bare.total('loads'):.0f} without a cache"
            yield Record(f"peak of the worker {name}", "MB", [peak(found)], BOUND, loads, floor=reference)
            yield Record(f"peak of the driver {name}", "MB", [found.peak], 1.1, floor=[bare.peak])


def peak(found: Found) -> float:
    """The peak of the worker that needed most."""
    return max(float(tile["peak"]) for notes in found.notes for tile in notes)
