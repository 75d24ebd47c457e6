"""Matches the units of a narrow network to distinct units of a wide one.

Source: the weight matching of Ainsworth et al. 2023 (arXiv 2209.04836) with rectangular assignments. Where
only some units are chosen, the largest inner product favours units of large weights; what is minimised is
the squared distance |a - b|^2 = |a|^2 - 2<a, b> + |b|^2, whose last term depends on the choice.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from raysweep.alignment.ascent import Ascent
from raysweep.alignment.products import Indices, Similarities, State
from raysweep.alignment.totals import total
from raysweep.alignment.weight_matching import check_spec, matched_spec
from raysweep.digest import seed_for
from raysweep.models.given import Network, state_of
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.symmetry.axes import segments
from raysweep.symmetry.blocks import completed, first_units
from raysweep.symmetry.selection import selected


@dataclass(frozen=True)
class Embedding:
    """By group, the unit of the wide network that each unit of the narrow one is matched to.

    Each value is an int64 tensor of shape (units of the narrow network,) without repeats.
    """

    indices: Mapping[str, torch.Tensor]
    objective: float  # -|narrow - selection of wide|^2 over all matched parameters, in float64
    objective_identity: float  # the same with the first units of every group
    iterations: int  # assignments solved

    def permutation(self, wide_spec: PermutationSpec) -> Permutation:
        """Return the permutation of the wide network that brings its matched units to the front.

        In a group in blocks they come to the front of each block.
        """
        counts = {group: each.count for each in wide_spec.blocks for group in each.groups}
        return Permutation(
            {g: completed(self.indices[g], size, counts.get(g, 1)) for g, size in wide_spec.sizes.items()}
        )

    def select(self, wide_spec: PermutationSpec, wide: Network) -> dict[str, torch.Tensor]:
        """Return the matched part of the wide network's state, in the shapes of the narrow network."""
        return _select(wide_spec, state_of(wide, "wide"), self.indices)


def embed(
    narrow_spec: PermutationSpec,
    wide_spec: PermutationSpec,
    narrow: Network,
    wide: Network,
    seed: int = 0,
    *,
    order: str = "forward",
    biases: bool = True,
    restarts: int = 1,
) -> Embedding:
    """Find the part of a wide network that is closest to a narrow one by coordinate ascent.

    Each step is a rectangular assignment of one group (Crouse 2016) and lowers the squared distance between
    the narrow network and the chosen part. The ascent starts from the first units of every group, and again
    from a forward pass if that is closer, in which each group is chosen by the weights whose other axes are
    chosen already. Hence a narrow network that is part of the wide one (with the weights that its units have
    there among each other) is found exactly, provided that no other unit of the wide one has the same
    incoming weights. Of several `restarts` all but the first begin at random units, and the closest part is
    kept. `order` and `biases` are those of `weight_matching`. Raises `ValueError` for an unknown order, no
    restarts, states that do not fit their specs, and networks that have different groups, axes of different
    kinds, other numbers of blocks, or a group that is narrower in the wide network.
    """
    check_spec(narrow_spec)
    check_spec(wide_spec)
    _check(narrow_spec, wide_spec)
    narrow, wide = state_of(narrow, "narrow"), state_of(wide, "wide")
    narrow_spec.check_state(narrow)
    wide_spec.check_state(wide)
    if restarts < 1:
        raise ValueError(f"restarts must be at least 1, not {restarts}")
    specs = matched_spec(narrow_spec, biases), matched_spec(wide_spec, biases)
    small, large = _matched(specs[0], narrow), _matched(specs[1], wide)

    def closeness(indices: Indices) -> float:
        part = _select(specs[1], large, indices)
        return -total((small[name] - part[name]).square().sum() for name in small)

    ascent = Ascent(
        _negative_distances(specs, small, large),
        specs[0],
        tuple(narrow_spec.sizes),
        order,
        closeness,
        (_norm(small) + _norm(large)) ** 2,
    )
    start = first_units(narrow_spec.blocks, narrow_spec.sizes, wide_spec.sizes)
    found = [ascent.linear_twice(start, torch.Generator().manual_seed(seed))]
    for attempt in range(1, restarts):
        generator = torch.Generator().manual_seed(seed_for("restart", seed, attempt))
        drawn = wide_spec.random(generator).indices
        begin = {group: drawn[group][first] for group, first in start.items()}
        found.append(ascent.linear(begin, generator))
    best = max(found, key=lambda reached: reached.objective)
    return Embedding(best.indices, best.objective, closeness(start), sum(each.iterations for each in found))


def _matched(spec: PermutationSpec, state: State) -> State:
    """Return the matched parameters in float64: a small distance is the difference of large numbers."""
    return {name: state[name].detach().double() for name in spec.axes}


def _negative_distances(
    specs: tuple[PermutationSpec, PermutationSpec], narrow: State, wide: State
) -> Similarities:
    """Return 2<a, b> - |b|^2 = |a|^2 - |a - b|^2 as an inner product of stacked states."""
    twice = {name: 2 * tensor for name, tensor in narrow.items()}
    minus = {name: torch.full_like(tensor, -1) for name, tensor in narrow.items()}
    squares = {name: tensor.square() for name, tensor in wide.items()}
    return Similarities(specs, [twice, minus], [wide, squares])


def _norm(state: State) -> float:
    return float(total(tensor.square().sum() for tensor in state.values()) ** 0.5)


def _select(spec: PermutationSpec, state: State, indices: Indices) -> dict[str, torch.Tensor]:
    return {n: selected(tensor, spec.axes.get(n, ()), indices) for n, tensor in state.items()}


def _check(narrow: PermutationSpec, wide: PermutationSpec) -> None:
    if _structure(narrow) != _structure(wide) or list(narrow.sizes) != list(wide.sizes):
        raise ValueError("the networks differ in more than their widths")
    if narrow.blocks != wide.blocks:
        raise ValueError("the networks differ in the number of blocks in which their units lie")
    for group, size in narrow.sizes.items():
        if size > wide.sizes[group]:
            raise ValueError(
                f"group {group} has {size} units, more than the {wide.sizes[group]} of the wide one"
            )


def _structure(spec: PermutationSpec) -> dict[str, list[list[tuple[str | None, int]] | None]]:
    """Return the part of a spec that networks share if only their widths differ."""
    return {
        name: [None if axis is None else [(s.group, s.repeat) for s in segments(axis)] for axis in axes]
        for name, axes in spec.axes.items()
    }
