"""Weight matching: coordinate ascent of <A, P[B]> over the permutation of one group at a time.

Source: Ainsworth, Hayase and Srinivasa 2023 (Git Re-Basin), algorithm 1, with two corrections: the
objective that is tracked is the true one, and the ascent stops when no single group improves it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment

from raysweep.digest import seed_for
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.symmetry.spec import axis_index

State = Mapping[str, torch.Tensor]
ORDERS = ("random", "forward", "backward")
TOLERANCE = 1e-7  # a step must raise the objective by this share of |A||B|, above float32's noise


@dataclass(frozen=True)
class Alignment:
    """A permutation P of network B toward A and the inner products (in weight space) that it reached."""

    permutation: Permutation
    objective: float  # <A, P[B]> over all parameters
    objective_identity: float  # <A, B>
    iterations: int  # assignments solved


def weight_matching(
    spec: PermutationSpec,
    target: State,
    source: State,
    seed: int,
    *,
    order: str = "random",
    biases: bool = True,
    restarts: int = 1,
    start: Permutation | None = None,
) -> Alignment:
    """Find P that makes P[source] close to target, starting from `start` (the identity unless given).

    The groups are visited in an `order`: random (drawn from `seed`), forward or backward through the
    network. A group is solved again only when one that shares a parameter with it has changed. The
    objective never falls, and at the end no single group improves it. Without `biases` only parameters of
    two axes and more are matched (all are moved). Of several `restarts` all but the first begin at random
    permutations, and the best is kept. Raises `ValueError` for an unknown order.
    """
    if order not in ORDERS:
        raise ValueError(f"unknown order {order!r}; valid: {', '.join(ORDERS)}")
    matched = PermutationSpec(
        {n: axes for n, axes in spec.axes.items() if n not in spec.buffers and (biases or len(axes) > 1)},
        spec.sizes,
        spec.buffers,
    )
    identity = objective(target, source, list(matched.axes))
    found = []
    for attempt in range(restarts):
        generator = torch.Generator().manual_seed(
            seed if attempt == 0 else seed_for("restart", seed, attempt)
        )
        begin = start or Permutation.identity(spec.sizes)
        if attempt:
            begin = spec.random(generator)
        found.append(_ascend(matched, target, source, begin, order, generator))
    permutation, reached, _ = max(found, key=lambda result: result[1])
    return Alignment(permutation, reached, identity, sum(iterations for _, _, iterations in found))


def _ascend(
    spec: PermutationSpec,
    target: State,
    source: State,
    permutation: Permutation,
    order: str,
    generator: torch.Generator,
) -> tuple[Permutation, float, int]:
    """Return the permutation at which no single group improves the objective, that value, and the solves."""
    names = list(spec.axes)
    scale = (objective(target, target, names) * objective(source, source, names)) ** 0.5
    neighbours = _neighbours(spec)
    stale = set(spec.sizes)
    reached, iterations = objective(target, spec.apply(permutation, source), names), 0
    while stale:
        for group in _visits(list(spec.sizes), order, generator):
            if group not in stale:
                continue
            stale.discard(group)
            iterations += 1
            candidate = _best(spec, target, source, permutation, group)
            value = objective(target, spec.apply(candidate, source), names)
            if value > reached + TOLERANCE * scale:
                permutation, reached = candidate, value
                stale |= neighbours[group]
    return permutation, reached, iterations


def _visits(groups: list[str], order: str, generator: torch.Generator) -> list[str]:
    if order == "random":
        return [groups[position] for position in torch.randperm(len(groups), generator=generator).tolist()]
    return groups if order == "forward" else groups[::-1]


def objective(target: State, source: State, names: list[str]) -> float:
    """Return the inner product of two states over the named parameters, summed in float64."""
    return sum(
        torch.dot(target[n].reshape(-1).double(), source[n].reshape(-1).double()).item() for n in names
    )


def _neighbours(spec: PermutationSpec) -> dict[str, set[str]]:
    """By group, the groups (itself among them where it has two axes) that share a parameter with it."""
    result: dict[str, set[str]] = {group: set() for group in spec.sizes}
    for axes in spec.axes.values():
        present = [s.group for axis in axes if axis for s in axis if s.group is not None]
        for group in present:
            result[group] |= {other for other in present if other != group}
            if present.count(group) > 1:
                result[group].add(group)
    return result


def _best(
    spec: PermutationSpec, target: State, source: State, permutation: Permutation, group: str
) -> Permutation:
    similarity = _similarity(spec, target, source, permutation, group)
    _, columns = linear_sum_assignment(similarity.double().cpu().numpy(), maximize=True)
    return Permutation({**permutation.indices, group: torch.from_numpy(columns)})


def _similarity(
    spec: PermutationSpec, target: State, source: State, permutation: Permutation, group: str
) -> torch.Tensor:
    """Return S with S[i, j] the gain of matching unit i of the target to unit j of the source.

    Shape (units, units). All other axes of the source follow the current permutation.
    """
    size = spec.sizes[group]
    total: torch.Tensor | None = None
    for name, dimension in spec.uses(group):
        axes = spec.axes[name]
        moved = source[name]
        for other, axis in enumerate(axes):
            if axis is not None and other != dimension:
                moved = moved.index_select(other, axis_index(axis, permutation).to(moved.device))
        axis = axes[dimension]
        assert axis is not None
        offset = 0
        for segment in axis:
            if segment.group == group:
                left = target[name].narrow(dimension, offset, segment.size).movedim(dimension, 0)
                right = moved.narrow(dimension, offset, segment.size).movedim(dimension, 0)
                part = left.reshape(size, -1) @ right.reshape(size, -1).T
                total = part if total is None else total + part
            offset += segment.size
    assert total is not None
    return total
