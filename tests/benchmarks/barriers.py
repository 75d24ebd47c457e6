"""Seconds per barrier against the fewest products it needs.

A barrier: 25 alphas on 10,000 images of two trained networks from different seeds (endpoints known), two
threads. The floor for an MLP: the first layer of both networks, and at 23 alphas the other layers, as bare
products into preallocated outputs, with the best of several chunk sizes. The floor for a convolutional
network: its own convolution and linear calls alone at 23 alphas (the first one at two), in the faster of the
two memory layouts and the best of several chunk sizes, timed on one chunk and multiplied.

Mixtures of a small MLP that share forward passes, with their weights along a batch axis, against one by one.

A point of the simplex of three networks (91 points) against a point of a line. A matrix of a trajectory (s
permutations applied at t moments) against as many lines one by one, each with endpoints of its own.
"""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from raysweep.connectivity import curve, pair_grid, risk, simplex_grid
from raysweep.connectivity.mixing import mixed_risks
from raysweep.data import DataConfig, load_arrays
from raysweep.data.resident import Resident, Split
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork
from raysweep.models.initialise import initialised
from raysweep.training.evaluation import Risk
from tests.benchmarks.networks import (
    State,
    convolutional,
    fashion_mnist,
    framed,
    mlp,
    resident,
    seconds,
    title,
    trained,
    work_alone,
)
from tests.benchmarks.records import Record, in_turn

ALPHAS = 25
INSIDE = ALPHAS - 2
GOAL = 1.25


def products(sizes: list[int], images: torch.Tensor, chunk: int) -> Callable[[], object]:
    """The bare products of an MLP with these layer sizes."""
    weights = [torch.randn(a, b) for a, b in itertools.pairwise(sizes)]
    outputs = [torch.empty(chunk, size) for size in sizes[1:]]
    chunks = images.split(chunk)

    def work() -> None:
        for rows in chunks:
            for _ in range(2):
                torch.mm(rows, weights[0], out=outputs[0])
            for _ in range(INSIDE):
                for given, weight, out in zip(outputs, weights[1:], outputs[1:], strict=False):
                    torch.mm(given, weight, out=out)

    return work


def calls(
    config: ModelConfig, images: torch.Tensor, layout: torch.memory_format
) -> list[Callable[[], object]]:
    """The convolution and linear calls of one forward pass over a chunk, each with its own input."""
    model = build(config).eval().requires_grad_(False).to(memory_format=layout)
    found: list[Callable[[], object]] = []

    def note(layer: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        kept = given[0].clone()
        kept = kept.contiguous(memory_format=layout) if kept.dim() == 4 else kept
        found.append(lambda: layer.forward(kept))

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_pre_hook(note)
    model(images)
    return found


def floors(config: ModelConfig, split: Split, chunks: tuple[int, ...]) -> list[Callable[[], float]]:
    """Ways to spend the least time; each returns seconds per barrier."""
    if config.model == "mlp":
        sizes, flat = [784, *[config.width] * 3, 10], split.images.flatten(1)
        works = [products(sizes, flat, chunk) for chunk in chunks]
        return [lambda work=work: seconds(work) for work in works]
    layouts = (torch.contiguous_format, torch.channels_last)
    return [chunked(config, split, layout, size) for layout in layouts for size in chunks]


def chunked(config: ModelConfig, split: Split, layout: torch.memory_format, size: int) -> Callable[[], float]:
    """Seconds of all calls of a barrier, from those of one chunk."""
    steps, share = calls(config, split.images[:size], layout), len(split) / size
    return lambda: share * each_chunk(steps)


def each_chunk(steps: list[Callable[[], object]]) -> float:
    """Seconds for one chunk: its first layer under both networks, the others under every mixture."""
    return 2 * seconds(steps[0]) + INSIDE * sum(seconds(step) for step in steps[1:])


def line(network: FlatNetwork, states: list[State], split: Split) -> float:
    return seconds(lambda: curve(network, states, pair_grid(ALPHAS), split, end=known))


def known(place: int) -> Risk:
    """The ends are evaluated once per network, which is not part of the work."""
    return Risk(0.0, 0.0)


def pairs(
    config: ModelConfig, states: list[State], split: Split, chunks: tuple[int, ...], rounds: int
) -> Record:
    network, least = FlatNetwork(build(config)), floors(config, split, chunks)
    works = {
        "ours": lambda: line(network, states[:2], split),
        "floor": lambda: min(floor() for floor in least),
    }
    times = in_turn(works, rounds)
    note = f"25 alphas on {len(split):,} images"
    return Record(f"{title(config)}, a barrier", "s", times["ours"], GOAL, note, times["floor"])


def simplex(config: ModelConfig, states: list[State], split: Split, rounds: int) -> Record:
    network, grid = FlatNetwork(build(config)), simplex_grid(12)
    works = {
        "simplex": lambda: seconds(lambda: curve(network, states, grid, split, end=known)) / (len(grid) - 3),
        "line": lambda: line(network, states[:2], split) / INSIDE,
    }
    times = in_turn(works, rounds)
    note = "a point of a line is the reference"
    name = f"{title(config)}, a point of a simplex"
    return Record(name, "s", times["simplex"], 1.05, note, times["line"])


def trajectory(config: ModelConfig, states: list[State], split: Split, rounds: int, moments: int) -> Record:
    """An s x t matrix evaluates its 2 t endpoints once; one by one its barriers evaluate 2 s t."""
    network = FlatNetwork(build(config))

    def ends(count: int) -> None:
        for place in range(count):
            risk(network, states[place % 2], split)

    def matrix(endpoints: int) -> float:
        return seconds(lambda: ends(endpoints)) + sum(
            line(network, states[:2], split) for _ in range(moments**2)
        )

    times = in_turn({"once": lambda: matrix(2 * moments), "each": lambda: matrix(2 * moments**2)}, rounds)
    note = f"{moments} x {moments}; endpoints evaluated for each barrier are the reference"
    name = f"{title(config)}, a matrix of a trajectory"
    return Record(name, "s", times["once"], 1, note, times["each"])


def together(
    config: ModelConfig,
    split: Split,
    grid: np.ndarray,
    rounds: int,
    timed: Callable[[Callable[[], object]], float] = seconds,
) -> Record:
    """As many mixtures in each pass as suit the device, the network and the caches, against one in each."""
    network = FlatNetwork(build(config).to(split.images.device))
    states = [initialised(config, "kaiming_normal", seed).state_dict() for seed in range(grid.shape[1])]
    vectors, inside = [network.flatten(state) for state in states], grid[grid.max(axis=1) < 1]
    works = {
        name: lambda points=points: timed(lambda: mixed_risks(network, vectors, inside, split, points))
        for name, points in (("together", None), ("one by one", 1))
    }
    times = in_turn(works, rounds)
    name = f"{title(config)}, mixtures together, {len(grid)} points on {len(split):,} images"
    return Record(
        name, "s", times["together"], None, "one mixture a pass is the reference", times["one by one"]
    )


def of_small_mlps(quick: bool) -> Iterator[Record]:
    """On the digits, with the one thread that an align worker has."""
    split = resident(load_arrays(DataConfig("digits"))).test
    torch.set_num_threads(1)
    for width in (8,) if quick else (8, 32, 64):
        for grid in (pair_grid(ALPHAS), simplex_grid(12)):
            config = ModelConfig("mlp", width, 3, "none", (1, 8, 8), 10)
            yield together(config, split, grid, 1 if quick else 15)
    work_alone(quick)


def first(split: Split, examples: int) -> Split:
    return Split(split.images[:examples], split.labels[:examples])


def of_mlp(config: ModelConfig, data: Resident, quick: bool) -> Iterator[Record]:
    split, rounds = first(data.train, 500 if quick else 10_000), 1 if quick else 7
    states = [trained(config, data, 128, seed, 2 if quick else 938) for seed in range(3)]
    with torch.no_grad():
        yield pairs(config, states, split, (250, 500) if quick else (250, 500, 1000, 2000), rounds)
        yield simplex(config, states, split, 1 if quick else 3)
        yield trajectory(config, states, split, 1 if quick else 3, 2 if quick else 4)


def records(quick: bool) -> Iterator[Record]:
    work_alone(quick)
    arrays = fashion_mnist(quick)
    data = resident(arrays)
    for width in (16,) if quick else (64, 512):
        yield from of_mlp(mlp(width), data, quick)
    yield from of_small_mlps(quick)
    data = resident(framed(arrays))
    for config in convolutional(4) if quick else convolutional(16, 64):
        steps = 1 if quick else 1600 // config.width
        states = [trained(config, data, 16, seed, steps) for seed in (0, 1)]
        examples = 16 if quick else 16_000 // config.width
        with torch.no_grad():
            chunks = (16,) if quick else (50, 200)
            yield pairs(config, states, first(data.train, examples), chunks, 1 if quick else 3)
