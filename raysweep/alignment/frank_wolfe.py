"""Frank-Wolfe matching: all layers of all networks move at once, over doubly stochastic matrices.

Source: Crisostomi et al. 2024 (C2M3, arXiv 2405.17897). The sum of the inner products of all pairs of
networks is maximised over one relaxed permutation per network, so that compositions are cycle-consistent.
Each step solves an assignment for every layer group, against the gradient, and goes toward it as far as the
objective rises.
"""

from collections.abc import Sequence

import numpy as np
import torch

from raysweep.alignment.relaxed import apply_relaxed, harden, matrices_of
from raysweep.alignment.weight_matching import check_spec, matched_spec
from raysweep.digest import seed_for
from raysweep.models.given import Network, as_floats, check_alike, first_floating, states_of
from raysweep.symmetry import Permutation, PermutationSpec

TOLERANCE = 1e-6  # a step must raise the objective by more than this share
POINTS = np.linspace(0, 1, 5)  # of a step: two axes of a weight move, so the objective along it is quartic

State = dict[str, torch.Tensor]
Matrices = dict[str, torch.Tensor]


def frank_wolfe(
    spec: PermutationSpec, states: Sequence[Network], seed: int = 0, *, steps: int = 100, restarts: int = 1
) -> list[Permutation]:
    """Return a permutation of each of n networks of one architecture; of two, the first stays as it is.

    The ascent takes at most `steps` from the identity; of several `restarts` the others begin at random
    permutations, and the best result is kept. It respects blocks. `states` may be modules. Raises
    `ValueError` for fewer than two, and for networks that do not fit the spec or differ in type or device.
    """
    check_spec(spec)
    states = states_of(states, "states")
    if len(states) < 2:
        raise ValueError(f"{len(states)} networks: matching requires at least two")
    for state in states:
        spec.check_state(state)
    check_alike(states)
    if not spec.sizes:
        return [Permutation({})] * len(states)
    matched = matched_spec(spec)
    floats = [as_floats(state, matched.axes) for state in states]
    weights = [{name: state[name].detach() for name in matched.axes} for state in floats]
    found = [
        _ascended(matched, weights, start, steps) for start in _starts(spec, len(states), seed, restarts)
    ]
    return max(found, key=lambda each: _value(matched, weights, each))


def _starts(spec: PermutationSpec, count: int, seed: int, restarts: int) -> list[list[Permutation]]:
    identity = Permutation.identity(spec.sizes)
    starts = [[identity] * count]
    for attempt in range(1, restarts):
        generator = torch.Generator().manual_seed(seed_for("restart", seed, attempt))
        starts.append([identity, *(spec.random(generator) for _ in range(1, count))])
    return starts


def _ascended(
    spec: PermutationSpec, weights: list[State], start: list[Permutation], steps: int
) -> list[Permutation]:
    like = first_floating(weights[0])
    points = [matrices_of(permutation, like) for permutation in start]
    first = 1 if len(weights) == 2 else 0  # of two networks, moving one is enough
    for _ in range(steps):
        corners = [
            matrices_of(harden(spec, each), like) if member >= first else points[member]
            for member, each in enumerate(_gradients(spec, weights, points))
        ]
        share = _best_share(spec, weights, points, corners)
        if not share:
            break
        points = [_between(*ends, share) for ends in zip(points, corners, strict=True)]
    return [harden(spec, each) for each in points]


@torch.enable_grad()
def _gradients(spec: PermutationSpec, weights: list[State], points: list[Matrices]) -> list[Matrices]:
    leaves = [{group: matrix.clone().requires_grad_() for group, matrix in each.items()} for each in points]
    value = _objective([apply_relaxed(spec, *each) for each in zip(leaves, weights, strict=True)])
    flat = [matrix for each in leaves for matrix in each.values()]
    found = iter(torch.autograd.grad(value, flat, materialize_grads=True))
    return [{group: next(found) for group in each} for each in leaves]


@torch.no_grad()
def _best_share(
    spec: PermutationSpec, weights: list[State], points: list[Matrices], corners: list[Matrices]
) -> float:
    """Return how far toward the corners the objective is largest, as a share; 0 where it hardly rises."""
    values = []
    for share in POINTS:
        there = [_between(*ends, float(share)) for ends in zip(points, corners, strict=True)]
        moved = [apply_relaxed(spec, *each) for each in zip(there, weights, strict=True)]
        values.append(_objective(moved).item())
    line = np.polynomial.Polynomial.fit(POINTS, values, len(POINTS) - 1)
    turns = [float(root.real) for root in line.deriv().roots() if abs(root.imag) < TOLERANCE]
    best = max([1.0, *(turn for turn in turns if 0 < turn < 1)], key=line)
    return float(best) if line(best) > values[0] + TOLERANCE * abs(values[0]) else 0.0


def _between(one: Matrices, other: Matrices, share: float) -> Matrices:
    return {group: torch.lerp(one[group], other[group], share) for group in one}


def _objective(moved: Sequence[State]) -> torch.Tensor:
    """Return the sum of the inner products of all pairs: half of |sum|^2 less the sum of the squares."""
    stacked = [torch.stack([state[name] for state in moved]) for name in moved[0]]
    whole = [each.sum(dim=0).square().sum() - each.square().sum() for each in stacked]
    return torch.stack(whole).double().sum() / 2


def _value(spec: PermutationSpec, weights: list[State], permutations: list[Permutation]) -> float:
    moved = [spec.apply(*each) for each in zip(permutations, weights, strict=True)]
    return _objective(moved).item()
