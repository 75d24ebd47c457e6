"""What an alignment does to each parameter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch

from raysweep.alignment.weight_matching import check_spec, listed
from raysweep.models.given import Network, states_of
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.symmetry.axes import groups_of, segments

State = Mapping[str, torch.Tensor]
Pairs = Sequence[tuple[State, State]]


@dataclass(frozen=True)
class LayerSimilarity:
    """Inner products <A, B> and <A, P[B]> of one parameter, and its displacement |P[B] - B|.

    `fixed_points` is the share of the units along its first axis that stay in place (None where no
    group lies along that axis).
    """

    parameter: str
    before: float
    after: float
    displacement: float
    fixed_points: float | None


def layer_similarities(
    spec: PermutationSpec,
    target: Network | Sequence[Network],
    source: Network | Sequence[Network],
    permutation: Permutation,
) -> list[LayerSimilarity]:
    """Return a row per parameter, in the order of the network; sums are in float64.

    Networks are modules or state dicts. Of equally long lists of them (one permutation for several
    checkpoints) inner products and squared displacements are added. Raises `ValueError` for lists of
    different lengths, and for permutations and networks that do not fit the spec, and `TypeError` for
    anything else in the place of a spec, a permutation or a network.
    """
    check_spec(spec)
    targets, sources = listed(target, "target"), listed(source, "source")
    moved = [spec.apply(permutation, state) for state in sources]
    shares = permutation.fixed_points()
    before, after = list(zip(targets, sources, strict=True)), list(zip(targets, moved, strict=True))
    return _rows(spec, before, after, list(zip(moved, sources, strict=True)), shares)


def joint_similarities(
    spec: PermutationSpec, networks: Sequence[Network], permutations: Sequence[Permutation]
) -> list[LayerSimilarity]:
    """Return a row per parameter for n networks with a permutation each, in the order of the network.

    Inner products are added over all pairs of networks and squared displacements over all networks; the
    fixed points are a mean over the networks. Raises `ValueError` where permutations and states do not fit.
    """
    check_spec(spec)
    states = states_of(networks, "networks")
    moved = [spec.apply(p, state) for p, state in zip(permutations, states, strict=True)]
    fixed = [permutation.fixed_points() for permutation in permutations]
    shares = {group: sum(each[group] for each in fixed) / len(fixed) for group in spec.sizes}
    before, after = list(combinations(states, 2)), list(combinations(moved, 2))
    return _rows(spec, before, after, list(zip(moved, states, strict=True)), shares)


def _rows(
    spec: PermutationSpec, before: Pairs, after: Pairs, displaced: Pairs, shares: Mapping[str, float]
) -> list[LayerSimilarity]:
    """Return a row per matched parameter, whose numbers are fetched from their device all at once."""
    names = [name for name in spec.axes if name not in spec.buffers]
    if not names:
        return []
    inner = [[_inner(one[n], other[n]) for one, other in (*before, *after)] for n in names]
    distances = [_distance([(one[n], other[n]) for one, other in displaced]) for n in names]
    numbers = torch.stack([torch.stack([*row, d]) for row, d in zip(inner, distances, strict=True)])
    return [
        LayerSimilarity(
            name, sum(row[: len(before)]), sum(row[len(before) : -1]), row[-1], _share(spec, name, shares)
        )
        for name, row in zip(names, numbers.cpu().tolist(), strict=True)
    ]


def _inner(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return torch.dot(one.reshape(-1).double(), other.reshape(-1).double())


def _distance(pairs: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    norms = [(one.double() - other.double()).norm() for one, other in pairs]
    together: torch.Tensor = torch.stack(norms).norm()
    return together


def _share(spec: PermutationSpec, name: str, shares: Mapping[str, float]) -> float | None:
    axis = spec.axes[name][0] if spec.axes[name] else None
    found = [
        (s.size, min(shares[group] for group in groups_of((s,))))
        for s in segments(axis)
        if s.group is not None
    ]
    total = sum(size for size, _ in found)
    return sum(size * share for size, share in found) / total if total else None
