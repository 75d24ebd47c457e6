"""Tiles take about as long as they should, whatever a job takes."""

import heapq
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.cluster.tile_sizing import FIRST, LAST, MOST, SHARE, SHARES, TileSizing


def settled(job, tiles=20):
    sizing = TileSizing(2.0)
    for _ in range(tiles):
        size = sizing.size("kind", 10**6, 1)
        sizing.record("kind", size, size * job)
    return sizing


@pytest.mark.parametrize(("job", "size"), [(0.001, MOST), (0.01, 200), (0.5, 4), (1.9, 1), (100, 1)])
def test_a_tile_takes_so_many_seconds(job, size):
    assert settled(job).size("kind", 10**6, 1) == pytest.approx(size, abs=1)


def test_the_first_tile_of_a_worker_tells_little():
    """Loading data takes seconds; one such tile does not make the next ones tiny."""
    sizing = settled(0.01)
    sizing.record("kind", 4, 3.0)
    assert sizing.size("kind", 10**6, 1) == 100
    sizing.record("kind", 100, 1.0)
    assert sizing.size("kind", 10**6, 1) == 200


def test_kinds_are_told_apart():
    sizing = settled(0.01)
    assert sizing.size("other", 10**6, 1) == FIRST


@given(
    job=st.floats(1e-4, 1e3),
    ready=st.integers(1, 10**6),
    workers=st.integers(1, 500),
    more=st.integers(1, 9),
)
def test_tiles_become_smaller_in_the_end(job, ready, workers, more):
    """And never larger for there being less to do."""
    sizing = settled(job)
    size = sizing.size("kind", ready, workers)
    assert 1 <= size <= MOST
    assert size * job <= max(2.0, job) * 1.01
    assert size <= sizing.size("kind", ready + more, workers)
    share = -(-ready // (SHARES * workers))
    assert size <= share or size * job <= max(0.05, job)


@given(job=st.floats(1e-2, 10), workers=st.integers(1, 10_000), cost=st.floats(1e-4, 1e-2))
def test_one_driver_can_serve_all_workers(job, workers, cost):
    """In half of its time; when few jobs are left, in all of it, unless each worker has its last tile."""
    sizing, lap = settled(job), workers * cost
    for ready in (10**8, 10 * workers * math.ceil(lap / job), workers, 1):
        size = sizing.size("kind", ready, workers, lap)
        least = lap / SHARE if ready >= LAST * workers * math.ceil(lap / SHARE / job) else lap
        assert size * job >= least * 0.999 or size >= min(MOST, -(-ready // workers))


def share_at_tiles(workers, job, jobs, cost):
    """Of the workers' time until the last tile begins, if a driver serves them one after the other.

    Sending a tile and receiving it takes `cost` seconds of the driver. Workers hold two tiles; tiles take up
    to half more or less than their jobs should.
    """
    sizing, chance, now = TileSizing(2.0), random.Random(0), 0.0
    free, begun, worked = [0.0] * workers, 0.0, []
    arriving = [(0.0, worker, 0, 1.0) for _ in range(2) for worker in range(workers)]
    while jobs:
        arrival, worker, done, seconds = heapq.heappop(arriving)
        now = max(now, arrival) + cost
        if done:
            sizing.record("kind", done, seconds)
        size = min(jobs, sizing.size("kind", jobs, workers, workers * cost))
        begun, seconds = max(now, free[worker]), size * job * chance.uniform(0.5, 1.5)
        worked.append((begun, seconds))
        free[worker] = begun + seconds
        heapq.heappush(arriving, (free[worker], worker, size, seconds))
        jobs -= size
    last = max(began for began, _ in worked)
    return sum(min(seconds, last - began) for began, seconds in worked) / workers / last


@pytest.mark.parametrize(("workers", "job"), [(8, 0.01), (100, 1.0), (1000, 2.0), (1000, 0.05)])
def test_workers_are_busy_though_one_driver_serves_all(workers, job):
    """For forty times as long as the driver takes to serve all once, or as a job takes; to the end."""
    cost = 1e-3
    jobs = math.ceil(40 * workers * max(workers * cost / job, 1))
    assert share_at_tiles(workers, job, jobs, cost) > 0.9


def test_a_worker_that_does_several_jobs_at_once_gets_as_many():
    slow = settled(100)
    assert slow.size("kind", 1000, 2, at_once=8) == 8
    assert slow.size("kind", 6, 2, at_once=8) == 3  # the other worker gets as many
    assert settled(0.01).size("kind", 10**6, 1, at_once=8) == settled(0.01).size("kind", 10**6, 1)


def test_there_are_tiles_as_long_as_there_are_jobs():
    for sizing in (TileSizing(2.0), settled(0.001), settled(10)):
        assert sizing.tiles(0) == 0
        assert sizing.tiles(1) == 1


def test_quick_jobs_do_not_hide_that_slow_ones_need_workers():
    sizing = settled(0.001)
    for _ in range(5):
        sizing.record("slow", 1, 60.0)
    assert sizing.tiles(100) == 100
