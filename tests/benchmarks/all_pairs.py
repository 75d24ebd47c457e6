"""All pairs of N networks at their checkpoints, aligned and compared by the whole engine on a real Ray.

Networks: MLP 64-64-64-64-10 on the digits (53 kB a checkpoint), not trained. A worker keeps 1 MB of them, 18
networks, so that what is loaded says how the tiles are cut. 64 networks have two checkpoints, which makes as
many pairs as 32 networks with eight. A barrier: 5 points, 400 test images. Every case is a process of its
own, but for the matching by activations, of networks with two checkpoints.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import torch

from raysweep.alignment.activations import Recorder
from raysweep.work.tile import Tile, TileWorker
from tests.benchmarks.engine import Case, Found, carried_out, checkpoint_megabytes, fill, planned
from tests.benchmarks.records import Record

COMPUTING, FLAT, RISING, PARALLEL = 0.95, 1.1, 1.1, 1.8  # goals
IMAGES = 1397  # of the digits to train on
TILE = 12  # pairs, when it is counted how often networks run


def records(quick: bool) -> Iterator[Record]:
    """Yield the figures of every N with two workers, and of one N with one worker and two in turn."""
    sizes = {3: 2, 4: 2} if quick else {8: 8, 16: 8, 32: 8, 64: 2}
    turns = 4 if quick else 32
    first: Found | None = None
    with tempfile.TemporaryDirectory() as folder:
        for networks in (2, 3) if quick else (2, 4, 8, 16):
            yield passes(Case(f"{folder}/passes{networks}", networks, 2, method="activation_matching"))
        for networks, checkpoints in sizes.items():
            root = f"{folder}/{networks}"
            case = Case(root, networks, checkpoints, workers=2, cache_mb=1)
            fill(case)
            alone = [carried_out(replace(case, workers=1))] if networks == turns else []
            found = carried_out(case)
            first = first or found
            yield from of_size(case, found, first)
            for one in alone:
                speeds = [found.pairs / found.seconds], [one.pairs / one.seconds]
                name = f"N = {networks}, pairs per second with two workers, to one"
                yield Record(name, "pairs/s", speeds[0], PARALLEL, floor=speeds[1], least=True)
                yield from shares(f"N = {networks}, one worker", one)


def passes(case: Case) -> Record:
    """How often a network runs on the images when all are matched by activations, tile by tile."""
    fill(case)
    wanted, ran, run = planned(case), [], Recorder.values

    def counted(recorder: Recorder, images: torch.Tensor, batch: int) -> dict[str, torch.Tensor]:
        ran.append(len(images))
        return run(recorder, images, batch)

    worker = TileWorker(case.root, wanted.sweep.sections)
    jobs = list(wanted.alignments.values())
    with mock.patch.object(Recorder, "values", counted):
        for start in range(0, len(jobs), TILE):
            worker.run(Tile(tuple(jobs[start : start + TILE]), wanted.trials))
    states = case.networks * case.checkpoints
    note = f"{len(jobs)} pairs of {states} checkpoints"
    name = f"N = {case.networks}, matched by activations, passes per checkpoint"
    return Record(name, "passes", [sum(ran) / IMAGES / states], 1, note)


def of_size(case: Case, found: Found, first: Found) -> Iterator[Record]:
    """Yield the figures of one N; the floors are those of the smallest."""
    name, pairs = f"N = {case.networks}", found.pairs
    size, states = checkpoint_megabytes(case.root), case.networks * case.checkpoints
    note = (
        f"{pairs} pairs; each of {states} checkpoints once in each of both stages: {2 * states / pairs:.3g}"
    )
    yield Record(f"{name}, loads per pair", "loads", [found.total("loads") / pairs], None, note)
    read = found.total("bytes") / pairs / 1000
    yield Record(f"{name}, read per pair", "kB", [read], None, f"a checkpoint: {1000 * size:.3g} kB")
    costs = {"workers": (found.cost, first.cost)}
    costs["driver"] = found.processor / pairs, first.processor / first.pairs
    for what, (cost, floor) in costs.items():
        goal = RISING if what == "workers" else None
        title = f"{name}, processor of the {what} per pair"
        yield Record(title, "ms", [1000 * cost], goal, "aligned and compared", floor=[1000 * floor])
    yield Record(f"{name}, peak of the driver", "MB", [found.peak], FLAT, floor=[first.peak])
    grown = f"{found.planned:.0f} MB when the plan was made"
    yield Record(f"{name}, growth of the driver", "MB", [found.peak - found.planned], None, grown)
    yield from shares(f"{name}, two workers", found)


def shares(name: str, found: Found) -> Iterator[Record]:
    """Yield how much of their time workers work."""
    tiles = f"{found.tiles} tiles in {found.seconds:.3g} s"
    yield Record(f"{name}, share of time at tiles", "", [found.busy], COMPUTING, tiles, least=True)
    note = "that without reading and writing"
    yield Record(f"{name}, share of time computing", "", [found.computing], COMPUTING, note, least=True)
