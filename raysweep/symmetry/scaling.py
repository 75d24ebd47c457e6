"""Scales and signs of hidden units under which the function of a network does not change.

A unit before a ReLU may be multiplied by any positive number, and one before an odd activation (tanh) by -1,
where the weights that read the unit are divided by it. With a permutation of the units this is a monomial
matrix.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from raysweep.symmetry.axes import segments, starts
from raysweep.symmetry.settling import Axes

State = Mapping[str, torch.Tensor]
Factors = Mapping[str, torch.Tensor]  # by group, (units,)


@dataclass(frozen=True)
class Scaling:
    """How the units of a group can be scaled.

    The entries of unit i along axis `dimension` of the tensor `name` are multiplied by factor_i **
    exponents[name, dimension], where exponents are 1 and -1. `positive` and `sign` say whether factors may be
    other than 1 and -1, and whether they may be negative.
    """

    exponents: Mapping[tuple[str, int], int]
    positive: bool = False
    sign: bool = False

    def check(self, group: str, factors: torch.Tensor) -> None:
        """Raise `ValueError` for factors under which the function of the network would change."""
        if not self.sign and bool((factors < 0).any()):
            raise ValueError(f"group {group}: the network is not the same with other signs of its units")
        if not self.positive and not torch.equal(factors.abs(), torch.ones_like(factors)):
            raise ValueError(f"group {group}: the network is not the same with other scales of its units")


def scaled_state(
    state: State, axes: Mapping[str, Axes], scalings: Mapping[str, Scaling], factors: Factors
) -> dict[str, torch.Tensor]:
    """Return the state with the units of each group multiplied by their factors; other tensors are shared.

    Raises `ValueError` for a group without scaling, and for factors that its scaling does not allow.
    """
    result = dict(state)
    for group, factor in factors.items():
        if group not in scalings:
            raise ValueError(f"group {group}: no scales or signs of its units are known")
        scalings[group].check(group, factor)
        for (name, dimension), exponent in scalings[group].exponents.items():
            along = factors_along(axes[name], dimension, group, factor.double() ** exponent)
            result[name] = multiplied(result[name], dimension, along)
    return result


def multiplied(tensor: torch.Tensor, dimension: int, factors: torch.Tensor) -> torch.Tensor:
    """Return a tensor with each entry along an axis multiplied by a factor of its own, in float64."""
    shape = [-1 if other == dimension else 1 for other in range(tensor.dim())]
    wide = tensor.to(torch.promote_types(tensor.dtype, torch.float64))  # complex numbers stay complex
    return (wide * factors.double().to(tensor.device).view(shape)).to(tensor.dtype)


def by_unit(values: torch.Tensor, axes: Axes, dimension: int, group: str) -> torch.Tensor:
    """Return the sums of the values that belong to each unit of a group along one axis, shape (units,)."""
    sums = values.movedim(dimension, 0).flatten(1).sum(dim=1) if values.dim() > 1 else values
    return sum(
        (
            sums[start:stop].view(-1, repeat).sum(dim=1)
            for start, stop, repeat in runs(axes, dimension, group)
        ),
        start=torch.zeros((), dtype=values.dtype, device=values.device),
    )


def factors_along(axes: Axes, dimension: int, group: str, factor: torch.Tensor) -> torch.Tensor:
    """Return the factors of the entries along an axis: those of the group, and 1 for all others."""
    entries = sum(segment.size for segment in segments(axes[dimension]))
    found = torch.ones(entries, dtype=torch.float64)
    for start, stop, repeat in runs(axes, dimension, group):
        found[start:stop] = factor.repeat_interleave(repeat)
    return found


def runs(axes: Axes, dimension: int, group: str) -> Iterator[tuple[int, int, int]]:
    """Yield start, stop and entries per unit of the segments of a group along an axis."""
    for start, segment in starts(axes[dimension]):
        if segment.group == group:
            yield start, start + segment.size, segment.repeat
