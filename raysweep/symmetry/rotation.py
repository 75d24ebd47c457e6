"""Rotations of hidden units that enter and leave a network through linear maps alone.

Where nothing but linear maps lies between the weights that write a group of units and those that read it, the
units may be multiplied by any orthogonal matrix: the queries and keys of a head of attention, its values, and
a residual stream that RMSNorm reads (Zhang et al. 2025, arXiv 2502.00264; Theus et al. 2025, arXiv
2506.22712). Queries and keys, and values and outputs, may even be multiplied by any invertible matrix and its
inverse. Orthogonal ones are the part that keeps the norms of weights, and all that is left of it where weight
decay has made the norms of two layers smallest for their product.

The gain of a norm of a residual stream multiplies unit by unit, which fixes the units. It is *folded*: the
weights that read the norm are multiplied by it, and it becomes 1. That changes no function.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from raysweep.symmetry.axes import Segment, Shared, starts
from raysweep.symmetry.scaling import factors_along, multiplied
from raysweep.symmetry.settling import Axes

State = Mapping[str, torch.Tensor]
Matrices = Mapping[str, torch.Tensor]  # by group, (blocks, units of a block, units of a block)


@dataclass(frozen=True)
class Folding:
    """How the gain of a norm is folded into the weights that read it.

    `gain` is a parameter with an entry for each unit of a group. The entries of unit i along axis `dimension`
    of another tensor `name` are multiplied by gain_i ** exponents[name, dimension], and the gain becomes 1.
    Where the axis is that of the gain, entry by entry, the gain may have several entries for a unit.
    """

    gain: str
    exponents: Mapping[tuple[str, int], int]


@dataclass(frozen=True)
class Rotation:
    """How the units of a group can be rotated, once the gains of its norms are folded.

    Each of `blocks` equal runs of units has an orthogonal matrix of its own. With `keeps_mean` the matrices
    leave the vector of ones as it is, because a LayerNorm subtracts the mean of the units.
    """

    blocks: int = 1
    foldings: tuple[Folding, ...] = ()
    keeps_mean: bool = False

    @property
    def behind_norms(self) -> bool:
        """Whether norms read the units, as they read a residual stream."""
        return self.keeps_mean or bool(self.foldings)

    def dimension(self, units: int) -> int:
        """Return how many numbers describe the matrices of a group of so many units: n (n - 1) / 2 for an
        orthogonal matrix of n units, and one unit less where the mean is kept."""
        free = units // self.blocks - self.keeps_mean
        return self.blocks * free * (free - 1) // 2

    def nearest(self, products: torch.Tensor) -> torch.Tensor:
        """Return the allowed rotations R with the largest inner products <R, M>, in float64.

        `products` holds the matrices M, shape (matrices, units, units). This is the orthogonal Procrustes
        problem, which the singular vectors of M solve (Schoenemann 1966).
        """
        wanted = products.double()
        if self.keeps_mean:
            size = wanted.shape[-1]
            mean = torch.full((size, size), 1 / size, dtype=torch.float64, device=wanted.device)
            rest = torch.eye(size, dtype=torch.float64, device=wanted.device) - mean
            # The ones are a singular vector of their own, whose value is of no account unless it is 0.
            scale = wanted.abs().amax().clamp(min=torch.finfo(torch.float64).tiny)
            wanted = rest @ wanted @ rest + scale * mean
        left, _, right = torch.linalg.svd(wanted)
        found: torch.Tensor = left @ right
        return found

    def random(self, units: int, generator: torch.Generator, mixed: int | None = None) -> torch.Tensor:
        """Draw allowed matrices for a group of so many units, shape (blocks, units of a block, again).

        They mix all units of a block, or as many as `mixed` says.
        """
        size = units // self.blocks
        count = min(size, mixed or size)
        drawn = torch.randn(self.blocks, count, count, generator=generator, dtype=torch.float64)
        chosen = torch.randperm(size, generator=generator)[:count]
        found = torch.eye(size, dtype=torch.float64).repeat(self.blocks, 1, 1)
        found[:, chosen[:, None], chosen] = self.nearest(drawn)
        return found

    def check(self, group: str, matrices: torch.Tensor) -> None:
        """Raise `ValueError` for matrices under which the function of the network would change."""
        if len(matrices) != self.blocks:
            raise ValueError(f"group {group}: its units lie in {self.blocks} blocks, not {len(matrices)}")
        if self.keeps_mean and not torch.allclose(matrices.sum(2), torch.ones((), dtype=torch.float64)):
            raise ValueError(f"group {group}: a LayerNorm reads it, so its rotations must keep the mean")


def folded_state(
    state: State, axes: Mapping[str, Axes], rotations: Mapping[str, Rotation]
) -> dict[str, torch.Tensor]:
    """Return the state with all gains folded; tensors that do not change are shared.

    Raises `ValueError` for a gain of zero whose norm has a bias, which cannot be divided by it.
    """
    result = dict(state)
    for group, rotation in rotations.items():
        for folding in rotation.foldings:
            gain = result[folding.gain].detach().double().cpu()
            if bool((gain == 1).all()):
                continue
            divided = [name for (name, _), exponent in folding.exponents.items() if exponent < 0]
            if divided and bool((gain == 0).any()):
                raise ValueError(
                    f"{folding.gain}: a gain of 0 cannot be folded, because {divided[0]} would be divided by "
                    "it"
                )
            for (name, dimension), exponent in folding.exponents.items():
                if name not in axes:  # a further name of a tied tensor, which the state has once
                    continue
                factors = gain**exponent
                if axes[name][dimension] != axes[folding.gain][0]:
                    factors = factors_along(axes[name], dimension, group, factors)
                result[name] = multiplied(result[name], dimension, factors)
            result[folding.gain] = torch.ones_like(result[folding.gain])
    return result


def rotated_state(
    state: State, axes: Mapping[str, Axes], rotations: Mapping[str, Rotation], matrices: Matrices
) -> dict[str, torch.Tensor]:
    """Return a folded state with the units of each group rotated; other tensors are shared.

    Raises `ValueError` for a group without rotations, and for matrices that its rotations do not allow.
    """
    result = dict(state)
    for group, matrix in matrices.items():
        if group not in rotations:
            raise ValueError(f"group {group}: no rotations of its units are known")
        rotations[group].check(group, matrix)
        gains = {folding.gain for folding in rotations[group].foldings}
        for name, own in axes.items():
            if name in gains:
                continue
            for dimension, axis in enumerate(own):
                for start, segment in starts(axis):
                    if segment.group == group:
                        result[name] = _rotated(result[name], dimension, start, segment, matrix)
    return result


def _rotated(
    tensor: torch.Tensor, dimension: int, start: int, segment: Segment, matrix: torch.Tensor
) -> torch.Tensor:
    """Return a tensor with the units of a segment of one axis rotated: block by block, alike in all heads."""
    wide = torch.promote_types(tensor.dtype, torch.float64)  # complex numbers stay complex
    along = tensor.detach().to(wide).movedim(dimension, 0).clone()
    blocks, size, _ = matrix.shape
    heads = segment.count // segment.blocks if isinstance(segment, Shared) else 1
    part = along[start : start + segment.size]
    part.copy_((matrix[:, None].to(part.device, wide) @ part.reshape(blocks, heads, size, -1)).view_as(part))
    return along.movedim(0, dimension).to(tensor.dtype).contiguous()
