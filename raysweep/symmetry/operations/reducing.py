"""Pooling and reductions: neither depends on the order of the entries that it brings together."""

from typing import Any

import torch

from raysweep.symmetry.axes import Value, still
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.operations.elementwise import elementwise
from raysweep.symmetry.traced import NotUnderstoodError, Traced, fix_all

# Where the axes and whether they are kept stand among the arguments behind the tensor; between them stands
# `unbiased`, and before them the order of a norm.
REDUCTIONS = {
    **dict.fromkeys(("mean", "sum", "nansum", "nanmean", "amax", "amin", "max", "min", "logsumexp"), (0, 1)),
    **dict.fromkeys(("var", "std"), (0, 2)),
    **dict.fromkeys(("norm", "linalg_vector_norm"), (1, 2)),
    **dict.fromkeys(("prod", "any", "all", "count_nonzero"), (0, 1)),
}
POOLS = {
    f"{kind}_pool{axes}d": axes
    for kind in ("avg", "max", "adaptive_avg", "adaptive_max")
    for axes in (1, 2, 3)
}


def pool(groups: Groups, result: torch.Tensor, input: Traced, spatial: int) -> Value:
    """Windows over the last `spatial` axes, which stay in place."""
    if not isinstance(result, torch.Tensor):
        raise NotUnderstoodError("returns the indices of maxima")
    fix_all(groups, input.axes[-spatial:])
    return input.axes[:-spatial] + tuple(still(size) for size in result.shape[-spatial:])


def interpolate(groups: Groups, result: torch.Tensor, input: Traced, *_: Any, **__: Any) -> Value:
    return pool(groups, result, input, input.tensor.dim() - 2)


class Reduction:
    """What a reduction does whose axes, and whether they are kept, are arguments of these numbers."""

    def __init__(self, dim: int, keepdim: int) -> None:
        self._dim, self._keepdim = dim, keepdim

    def __call__(
        self, groups: Groups, result: torch.Tensor, input: Traced, *args: Any, **named: Any
    ) -> Value:
        """Raises `NotUnderstoodError` for what returns several tensors, such as the positions of maxima."""
        if not isinstance(result, torch.Tensor):
            raise NotUnderstoodError("returns positions too; take amax or amin")
        other = named.get("other", next(iter(args), None))
        if isinstance(other, Traced):  # the larger or smaller one of each two entries
            return elementwise(groups, result, input, other)
        given = dict(enumerate(args))
        dim: Any = named.get("dim", named.get("axis", given.get(self._dim)))
        keepdim = named.get("keepdim", named.get("keepdims", given.get(self._keepdim, False)))
        rank, everything = input.tensor.dim(), dim is None or dim == () or isinstance(dim, bool)
        dims = range(rank) if everything else [dim] if isinstance(dim, int) else dim
        reduced = {each % rank for each in dims}
        if keepdim:
            return tuple(still(1) if d in reduced else axis for d, axis in enumerate(input.axes))
        return tuple(axis for d, axis in enumerate(input.axes) if d not in reduced)
