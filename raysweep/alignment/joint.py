"""Joint alignment of n networks: one permutation each, maximising the sum of all pairwise similarities."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch

from raysweep.alignment.products import State
from raysweep.alignment.weight_matching import objective, weight_matching
from raysweep.digest import seed_for
from raysweep.symmetry import Permutation, PermutationSpec

TOLERANCE = 1e-7  # a sweep over the networks must raise the objective by this share of it


@dataclass(frozen=True)
class JointAlignment:
    """Permutations of all networks and the sum of <P_i theta_i, P_j theta_j> over pairs that they reach.

    `reference` is the network whose pairwise alignments the ascent started from.
    """

    permutations: tuple[Permutation, ...]
    objective: float
    objective_identity: float
    iterations: int  # assignments solved
    reference: int


def joint_matching(spec: PermutationSpec, states: Sequence[State], seed: int) -> JointAlignment:
    """Align n networks at once by coordinate ascent, starting from the best reference.

    With the linear kernel network i is matched to the sum of the others, because the terms of the
    objective in which it occurs are its inner product with that sum. The objective never falls; compositions
    of the permutations are consistent around every cycle by construction.
    """
    names = [name for name in spec.axes if name not in spec.buffers]
    starts = [_through(spec, states, reference, seed) for reference in range(len(states))]
    values = [_total(spec, states, permutations, names) for permutations, _ in starts]
    reference = max(range(len(states)), key=values.__getitem__)
    permutations, reached = list(starts[reference][0]), values[reference]
    iterations = sum(count for _, count in starts)
    while True:
        before = reached
        for member in range(len(states)):
            moved = [spec.apply(p, state) for p, state in zip(permutations, states, strict=True)]
            others = _sum([state for i, state in enumerate(moved) if i != member], names)
            found = weight_matching(
                spec, others, states[member], seed_for("joint", seed, member), start=permutations[member]
            )
            permutations[member] = found.permutation
            iterations += found.iterations
        reached = _total(spec, states, permutations, names)
        if reached <= before + TOLERANCE * abs(before):
            break
    identity = [Permutation.identity(spec.sizes)] * len(states)
    start = _total(spec, states, identity, names)
    return JointAlignment(tuple(permutations), reached, start, iterations, reference)


def _through(
    spec: PermutationSpec, states: Sequence[State], reference: int, seed: int
) -> tuple[list[Permutation], int]:
    """Align every network to one of them."""
    permutations, iterations = [], 0
    for member, state in enumerate(states):
        if member == reference:
            permutations.append(Permutation.identity(spec.sizes))
            continue
        found = weight_matching(
            spec, states[reference], state, seed_for("joint start", seed, reference, member)
        )
        permutations.append(found.permutation)
        iterations += found.iterations
    return permutations, iterations


def _total(
    spec: PermutationSpec, states: Sequence[State], permutations: Sequence[Permutation], names: list[str]
) -> float:
    moved = [spec.apply(p, state) for p, state in zip(permutations, states, strict=True)]
    return sum(objective(one, other, names) for one, other in combinations(moved, 2))


def _sum(states: Sequence[State], names: list[str]) -> dict[str, torch.Tensor]:
    return {name: torch.stack([state[name] for state in states]).sum(dim=0) for name in names}
