"""Alignment on a device: seconds beside those of the assignment solver alone, and whether bits are equal.

Weight matching (linear kernel, float32) of networks with random weights, which share no structure, so that
an ascent takes as many rounds as it may. The floor is the time that the same run spent in the solver; of
several pairs at a time it is that time divided by their number. The permutations must be the same bits
however many pairs are aligned at a time, and a permuted copy must be recovered exactly.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from unittest import mock

import numpy as np
import torch
from lap import lapjvr

from raysweep.alignment import Alignment, match_activations, weight_matching
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import PermutationSpec
from raysweep.work.at_once import AtOnce
from tests.benchmarks.networks import State, convolutional, seconds, title
from tests.benchmarks.records import Record

GOAL = 1.3  # times the solver's own time, for the widest network
PAIRS = 4
SOLVER = "raysweep.alignment.assignments.lapjvr"


class Solver:
    """The solver, which adds up the seconds that it takes, in all threads."""

    def __init__(self) -> None:
        self.seconds, self._lock = 0.0, threading.Lock()

    def __call__(self, costs: np.ndarray, **options: bool) -> tuple[np.ndarray, np.ndarray]:
        began = time.perf_counter()
        rows, columns = lapjvr(costs, extend_cost=True, return_cost=False)
        with self._lock:
            self.seconds += time.perf_counter() - began
        return rows, columns


@dataclass
class Timed:
    """A piece of work: its result, its seconds until the device is done, and those in the solver."""

    found: list[Alignment]
    seconds: float
    solver: float


def timed(work: Callable[[], list[Alignment]], device: str) -> Timed:
    solver, found = Solver(), list[Alignment]()

    def until_done() -> None:
        found.extend(work())
        if device == "cuda":
            torch.cuda.synchronize()

    with mock.patch(SOLVER, solver):
        taken = seconds(until_done)
    return Timed(found, taken, solver.seconds)


def drawn(config: ModelConfig, count: int, device: str) -> tuple[PermutationSpec, list[State]]:
    """The spec of an architecture, and the states of networks with random weights."""
    model, states = build(config), []
    for seed in range(count):
        generator = torch.Generator(device).manual_seed(seed)
        states.append(
            {
                name: torch.randn(tensor.shape, generator=generator, device=device)
                / max(1, tensor[0].numel()) ** 0.5
                for name, tensor in model.state_dict().items()
            }
        )
    return PermutationSpec.trace(model, torch.zeros(2, *config.shape), proved=False), states


def different(ones: list[Alignment], others: list[Alignment]) -> int:
    """The number of alignments that differ in any bit."""
    return sum(
        one.objective != other.objective
        or any(
            not torch.equal(index, other.permutation.indices[g])
            for g, index in one.permutation.indices.items()
        )
        for one, other in zip(ones, others, strict=True)
    )


def of_pair(config: ModelConfig, device: str, rounds: int, goal: float | None = None) -> Record:
    """One pair alone, against the solver."""
    spec, states = drawn(config, 2, device)
    runs = [timed(lambda: [weight_matching(spec, states[0], states[1], 0)], device) for _ in range(rounds)]
    note = f"{runs[0].found[0].iterations} assignments; beside the solver in the same run"
    name = f"{title(config)}, weight matching"
    return Record(name, "s", [each.seconds for each in runs], goal, note, [each.solver for each in runs])


def of_copy(config: ModelConfig, device: str) -> Record:
    """How much of a permuted copy is not recovered."""
    spec, states = drawn(config, 1, device)
    copy = spec.apply(spec.random(torch.Generator().manual_seed(0)), states[0])
    back = spec.apply(weight_matching(spec, states[0], copy, 0).permutation, copy)
    wrong = sum(not torch.equal(back[name], tensor) for name, tensor in states[0].items())
    return Record(f"{title(config)}, tensors of a permuted copy not recovered", "tensors", [wrong], 0)


def several(config: ModelConfig, device: str, rounds: int) -> Iterator[Record]:
    """Pairs one after the other, and at a time, turn by turn."""
    spec, states = drawn(config, PAIRS + 1, device)
    pairs = list(combinations(states, 2))[:PAIRS]
    alone, together, changed = [], [], 0

    def align(pair: tuple[State, State]) -> Alignment:
        return weight_matching(spec, *pair, 0)

    at_once = AtOnce(PAIRS, 1)
    at_once.each(align, pairs)  # each thread starts cuBLAS with its first product
    for _ in range(rounds):
        alone.append(timed(lambda: [align(pair) for pair in pairs], device))
        together.append(timed(lambda: at_once.each(align, pairs), device))
        changed += different(alone[-1].found, together[-1].found)
        changed += different(alone[0].found, alone[-1].found)
    name = f"{title(config)}, {PAIRS} pairs by weights"
    one = [each.seconds for each in alone]
    yield Record(f"{name}, one after the other", "s", one, None, "", [each.solver for each in alone])
    floor = [each.solver / PAIRS for each in together]
    yield Record(f"{name}, at a time", "s", [each.seconds for each in together], None, "", floor)
    ratio = [a.seconds / b.seconds for a, b in zip(alone, together, strict=True)]
    yield Record(f"{name}, gain of aligning them at a time", "times", ratio)
    yield Record(f"{name}, alignments whose bits differ", "alignments", [changed], 0)


def by_activations(config: ModelConfig, device: str, images: int, rounds: int) -> Iterator[Record]:
    """All pairs of four networks, against one pass of each over the same images."""
    models = [initialised(config, "pytorch", seed).to(device).eval() for seed in range(4)]
    generator = torch.Generator(device).manual_seed(0)
    batch = torch.rand(images, *config.shape, generator=generator, device=device)
    pairs = list(combinations(range(len(models)), 2))

    def passes() -> list[Alignment]:
        with torch.no_grad():
            for model in models:
                for chunk in batch.split(500):
                    model(chunk)
        return []

    def match() -> list[Alignment]:
        return match_activations(models, batch, pairs)

    found, ours, floor = match(), list[Timed](), list[Timed]()
    for _ in range(rounds):
        ours.append(timed(match, device))
        floor.append(timed(passes, device))
    solver = sum(each.solver for each in ours) / rounds
    note = f"{len(pairs)} pairs; {solver:.3g} s in the solver; a pass of each network is the reference"
    name = f"{title(config)}, activation matching of {len(models)}"
    yield Record(name, "s", [each.seconds for each in ours], None, note, [each.seconds for each in floor])
    changed = sum(different(found, each.found) for each in ours)
    yield Record(f"{name}, alignments whose bits differ", "alignments", [changed], 0)


def of_devices(config: ModelConfig, device: str) -> Record:
    """How far the objective on the device is from that on the CPU, as a share: their ascents may differ."""
    spec, states = drawn(config, 2, "cpu")
    here = weight_matching(spec, states[0], states[1], 0).objective
    moved = [{name: tensor.to(device) for name, tensor in state.items()} for state in states]
    there = weight_matching(spec, moved[0], moved[1], 0).objective
    note = "of the objective on the CPU"
    return Record(
        f"{title(config)}, objective on the device", "share", [abs(there - here) / here], 0.05, note
    )


def alignment_records(device: str, quick: bool) -> Iterator[Record]:
    """Figures for a device, small ones first; not quick they take some 40 seconds on an H100."""
    small, large = (4, 4) if quick else (16, 64)
    rounds = 1 if quick else 3
    for config in convolutional(small):
        yield of_devices(config, device)
        yield of_copy(config, device)
        yield of_pair(config, device, rounds)
    yield from several(convolutional(large)[0], device, rounds)
    yield from by_activations(convolutional(large)[0], device, 100 if quick else 5000, rounds)
    if not quick:
        yield of_pair(convolutional(256)[0], device, 1, GOAL)
