"""Seconds per alignment against the assignment solver's own, and passes of activation matching.

Weight matching (linear kernel, float32, two threads) of two networks from different seeds: MLP
784-512-512-512-10 after two epochs of Fashion-MNIST; VGG-16 and ResNet-20 at widths 16 and 64 after 6,400 /
width steps of 16 images, framed to 32x32 in three channels. The floor: the same cost matrices, recorded
once, through the solver in the same run, turn by turn. Beside it scipy's solver takes its turn, which finds
the same permutations except where several are best.

Activation matching of all pairs of N networks against one pass of each over the same images.
"""

import itertools
from collections.abc import Callable, Iterator
from unittest import mock

import numpy as np
import torch
from lap import lapjvr
from scipy.optimize import linear_sum_assignment

from raysweep.alignment import Alignment, match_activations, weight_matching
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import PermutationSpec
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

GOAL = 1.3


def recorded(spec: PermutationSpec, states: list[State]) -> tuple[Alignment, list[np.ndarray]]:
    """Return the alignment and the cost matrices that were solved for it."""
    costs: list[np.ndarray] = []

    def record(matrix: np.ndarray, **options: bool) -> tuple[np.ndarray, np.ndarray]:
        costs.append(matrix.copy())
        return solved(matrix)

    with mock.patch("raysweep.alignment.assignments.lapjvr", record):
        return weight_matching(spec, states[0], states[1], 0), costs


def solved(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = lapjvr(costs, extend_cost=True, return_cost=False)
    return rows, columns


def by_weights(config: ModelConfig, states: list[State], rounds: int) -> Iterator[Record]:
    spec = PermutationSpec.trace(build(config), torch.zeros(2, *config.shape))
    found, costs = recorded(spec, states)

    def solve_by(solver: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> float:
        return seconds(lambda: [solver(matrix) for matrix in costs])

    works = {
        "ours": lambda: seconds(lambda: weight_matching(spec, states[0], states[1], 0)),
        "floor": lambda: solve_by(solved),
        "scipy": lambda: solve_by(linear_sum_assignment),
    }
    times = in_turn(works, rounds)
    note = f"{found.iterations} assignments, objective {found.objective:.6g}"
    name = f"{title(config)}, weight matching"
    yield Record(name, "s", times["ours"], GOAL, note, times["floor"])
    note = "scipy's solver is the reference"
    yield Record(f"{title(config)}, assignments", "s", times["floor"], 0.8, note, times["scipy"])


def by_activations(quick: bool) -> Iterator[Record]:
    config = mlp(16 if quick else 256)
    images = torch.rand(500 if quick else 5000, *config.shape, generator=torch.Generator().manual_seed(0))
    models = [initialised(config, "pytorch", seed).eval() for seed in range(16)]
    for count in (2, 4) if quick else (2, 4, 8, 16):
        chosen, pairs = models[:count], list(itertools.combinations(range(count), 2))

        def passes(chosen=chosen) -> None:
            with torch.no_grad():
                for model in chosen:
                    for chunk in images.split(500):
                        model(chunk)

        works = {
            "ours": lambda chosen=chosen, pairs=pairs: seconds(
                lambda: match_activations(chosen, images, pairs)
            ),
            "floor": lambda passes=passes: seconds(passes),
        }
        times = in_turn(works, 1 if quick else 3)
        note = f"{len(pairs)} pairs; a pass of each network is the reference"
        yield Record(
            f"{title(config)}, activation matching of {count}", "s", times["ours"], None, note, times["floor"]
        )


def records(quick: bool) -> Iterator[Record]:
    work_alone(quick)
    arrays, rounds = fashion_mnist(quick), 1 if quick else 7
    config, steps = mlp(16 if quick else 512), 10 if quick else 938
    data = resident(arrays)
    yield from by_weights(config, [trained(config, data, 128, seed, steps) for seed in (0, 1)], rounds)
    data = resident(framed(arrays))
    for config in convolutional(4) if quick else convolutional(16, 64):
        steps = 1 if quick else 6400 // config.width
        states = [trained(config, data, 16, seed, steps) for seed in (0, 1)]
        yield from by_weights(config, states, 1 if quick else 3)
    yield from by_activations(quick)
