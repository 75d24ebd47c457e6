"""What an alignment does to each parameter."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from raysweep.symmetry import Permutation, PermutationSpec


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
    target: Mapping[str, torch.Tensor],
    source: Mapping[str, torch.Tensor],
    permutation: Permutation,
) -> list[LayerSimilarity]:
    """Return a row per parameter, in the order of the network; sums are in float64."""
    moved, shares = spec.apply(permutation, source), permutation.fixed_points()
    return [
        LayerSimilarity(
            name,
            _inner(target[name], source[name]),
            _inner(target[name], moved[name]),
            (moved[name].double() - source[name].double()).norm().item(),
            _share(spec, name, shares),
        )
        for name in spec.axes
        if name not in spec.buffers
    ]


def _inner(one: torch.Tensor, other: torch.Tensor) -> float:
    return torch.dot(one.reshape(-1).double(), other.reshape(-1).double()).item()


def _share(spec: PermutationSpec, name: str, shares: Mapping[str, float]) -> float | None:
    axis = spec.axes[name][0] if spec.axes[name] else None
    found = [(s.size, shares[s.group]) for s in axis or () if s.group is not None]
    total = sum(size for size, _ in found)
    return sum(size * share for size, share in found) / total if total else None
