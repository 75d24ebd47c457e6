"""Pooling and reductions: neither depends on the order of the entries that it brings together."""

from collections.abc import Sequence
from typing import Any

import torch

from raysweep.symmetry.axes import Value, still
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.traced import NotUnderstoodError, Traced, fix_all

REDUCTIONS = (
    *("mean", "sum", "nansum", "nanmean", "amax", "amin", "max", "min", "logsumexp", "var", "std", "norm"),
    *("linalg_vector_norm", "prod", "any", "all", "count_nonzero"),
)
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


def reduce(
    groups: Groups,
    result: torch.Tensor,
    input: Traced,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    **_: Any,
) -> Value:
    """Raises `NotUnderstoodError` for what returns more than one tensor, such as the positions of maxima."""
    if not isinstance(result, torch.Tensor):
        raise NotUnderstoodError("returns positions too; take amax or amin")
    rank = input.tensor.dim()
    dims = range(rank) if dim is None or dim == () else [dim] if isinstance(dim, int) else dim
    reduced = {each % rank for each in dims}
    if keepdim:
        return tuple(still(1) if d in reduced else axis for d, axis in enumerate(input.axes))
    return tuple(axis for d, axis in enumerate(input.axes) if d not in reduced)
