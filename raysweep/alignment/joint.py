"""Joint alignment of n networks: one permutation each, maximising the sum of all pairwise similarities.

Source: Ainsworth et al. 2023 (arXiv 2209.04836), whose ascent matches each network to the others in turn;
Crisostomi et al. 2024 (C2M3, arXiv 2405.17897) maximise the same sum over permutations that are
cycle-consistent by construction.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import torch

from raysweep.alignment.products import State
from raysweep.alignment.weight_matching import (
    Alignment,
    check_spec,
    matched_spec,
    objective,
    random_start,
    weight_matching,
)
from raysweep.digest import seed_for
from raysweep.models.given import Network, as_floats, states_of
from raysweep.symmetry import Permutation, PermutationSpec

TOLERANCE = 1e-7  # a sweep must raise the objective by more than this share: the sums of states are float32

Match = Callable[..., Alignment]  # weight matching with some of its options


@dataclass(frozen=True)
class JointAlignment:
    """Permutations of all networks, and the objective that they reach, summed over pairs of networks.

    With weights the objective is <P_i theta_i, P_j theta_j> over all matched parameters, with activations the
    similarities of the units at the same position. `reference` is the network to which the others were
    aligned at the start of the ascent.
    """

    permutations: tuple[Permutation, ...]
    objective: float
    objective_identity: float  # of the networks as they are
    iterations: int  # assignments solved
    reference: int


def joint_matching(
    spec: PermutationSpec,
    networks: Sequence[Network],
    seed: int = 0,
    *,
    order: str = "random",
    biases: bool = True,
    restarts: int = 1,
    groups: Collection[str] | None = None,
) -> JointAlignment:
    """Align n networks of one architecture, modules or state dicts, starting from the best reference.

    With the linear kernel network i is matched to the sum of the others, because the terms of the objective
    in which it occurs are its inner product with that sum. The objective never falls; compositions of the
    permutations are consistent around every cycle by construction. `order`, `biases` and `groups` are those
    of `weight_matching`. Of several `restarts` all but the first begin at random permutations of all
    networks, and the best is kept. Raises `ValueError` for fewer than two networks, for networks that do not
    fit the spec, for an unknown order, and for no restarts, and `TypeError` for anything but networks.
    """
    check_spec(spec)
    states = states_of(networks, "networks")
    if len(states) < 2:
        raise ValueError(f"{len(states)} networks: a joint alignment requires at least two")
    if restarts < 1:
        raise ValueError(f"restarts must be at least 1, not {restarts}")
    matched = matched_spec(spec, biases)
    states = [as_floats(state, matched.axes) for state in states]
    names, match = list(matched.axes), partial(weight_matching, matched, order=order, groups=groups)
    found = [_ascended(spec, states, _best_start(spec, states, seed, match, names), seed, match, names)]
    for attempt in range(1, restarts):
        again = seed_for("restart", seed, attempt)
        generator = torch.Generator().manual_seed(again)
        drawn = [random_start(spec, generator, groups) for _ in states]
        start = _Start(drawn, reference=0, iterations=0)
        found.append(_ascended(spec, states, start, again, match, names))
    best = max(found, key=lambda each: each.objective)
    return replace(best, iterations=sum(each.iterations for each in found))


@dataclass(frozen=True)
class _Start:
    """Permutations of all networks, with the reference to which they are aligned."""

    permutations: list[Permutation]
    reference: int
    iterations: int


def _best_start(
    spec: PermutationSpec, states: Sequence[State], seed: int, match: Match, names: list[str]
) -> _Start:
    """Align all networks to each of them, and return what reaches the largest objective."""
    starts = [_through(spec, states, reference, seed, match) for reference in range(len(states))]
    values = [pairwise_objective(spec, states, permutations, names) for permutations, _ in starts]
    reference = max(range(len(states)), key=values.__getitem__)
    return _Start(list(starts[reference][0]), reference, sum(count for _, count in starts))


def _ascended(
    spec: PermutationSpec,
    states: Sequence[State],
    start: _Start,
    seed: int,
    match: Match,
    names: list[str],
) -> JointAlignment:
    """Match each network to the sum of the others, in turn, until no network gains."""
    permutations, iterations = list(start.permutations), start.iterations
    reached = pairwise_objective(spec, states, permutations, names)
    while True:
        before = reached
        for member in range(len(states)):
            moved = [spec.apply(p, state) for p, state in zip(permutations, states, strict=True)]
            others = _sum([state for i, state in enumerate(moved) if i != member], names)
            found = match(others, states[member], seed_for("joint", seed, member), start=permutations[member])
            permutations[member] = found.permutation
            iterations += found.iterations
        reached = pairwise_objective(spec, states, permutations, names)
        if reached <= before + TOLERANCE * abs(before):
            break
    identity = [Permutation.identity(spec.sizes)] * len(states)
    unaligned = pairwise_objective(spec, states, identity, names)
    return JointAlignment(tuple(permutations), reached, unaligned, iterations, start.reference)


def _through(
    spec: PermutationSpec,
    states: Sequence[State],
    reference: int,
    seed: int,
    match: Match,
) -> tuple[list[Permutation], int]:
    """Align every network to one of them; return the permutations and the assignments solved."""
    permutations, iterations = [], 0
    for member, state in enumerate(states):
        if member == reference:
            permutations.append(Permutation.identity(spec.sizes))
            continue
        found = match(states[reference], state, seed_for("joint start", seed, reference, member))
        permutations.append(found.permutation)
        iterations += found.iterations
    return permutations, iterations


def pairwise_objective(
    spec: PermutationSpec, states: Sequence[State], permutations: Sequence[Permutation], names: Iterable[str]
) -> float:
    """Return the inner product of the permuted networks over the named parameters, summed over pairs."""
    names = list(names)
    moved = [spec.apply(p, state) for p, state in zip(permutations, states, strict=True)]
    return sum(objective(one, other, names) for one, other in combinations(moved, 2))


def _sum(states: Sequence[State], names: list[str]) -> dict[str, torch.Tensor]:
    return {name: torch.stack([state[name] for state in states]).sum(dim=0) for name in names}
