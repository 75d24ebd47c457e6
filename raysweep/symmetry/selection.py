"""The index along an axis that carries out a permutation of units, or takes some of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from raysweep.symmetry.axes import Axis, Shared, Within

Indices = Mapping[str, torch.Tensor]


def selection(axis: Axis, indices: Indices) -> torch.Tensor:
    """Return the index along an axis that takes these units of each group, which may be fewer than it has.

    It is on the device of the indices.
    """
    parts, offset = [], 0
    device = next((each.device for each in indices.values()), None)
    for segment in axis:
        if isinstance(segment, Shared):
            index = _of_heads(segment, indices)
        elif segment.group is not None:
            index = indices[segment.group]
        else:
            index = torch.arange(segment.size, device=device)
        if segment.repeat > 1:
            inside = torch.arange(segment.repeat, device=device)
            index = (index[:, None] * segment.repeat + inside).reshape(-1)
        parts.append(index + offset)
        offset += segment.size
    return torch.cat(parts)


def _of_heads(shared: Shared, indices: Indices) -> torch.Tensor:
    """Return the entries of the heads that are taken: those that are the units taken of the head's block."""
    heads, size = indices[shared.heads], shared.size // shared.count
    inside = indices[str(shared.group)].view(shared.blocks, -1) % size
    return (heads[:, None] * size + inside.repeat_interleave(len(heads) // shared.blocks, dim=0)).reshape(-1)


def selection_within(axis: Within, indices: Indices, size: int, rows: int) -> torch.Tensor:
    """Return for each of the rows that were taken the index along axis 1, of `size` entries.

    The shape is (rows, entries taken).
    """
    index = selection(axis.axis, indices).view(axis.count, -1) % size
    return index.repeat_interleave(rows // axis.count, dim=0)


def flat_selection(axes: Sequence[tuple[int, Axis | None]], networks: int, indices: Indices) -> torch.Tensor:
    """Return the index of the entries of several axes, flattened, of networks one after the other.

    Each axis comes with its size.
    """
    flat = torch.arange(networks)
    for size, axis in axes:
        along = torch.arange(size) if axis is None else selection(axis, indices)
        flat = (flat[:, None] * size + along).reshape(-1)
    return flat


def selected(
    tensor: torch.Tensor,
    axes: Sequence[Axis | Within | None],
    indices: Indices,
    along: Sequence[bool] | None = None,
) -> torch.Tensor:
    """Return the part of a tensor that belongs to these units of each group, in the order of `indices`.

    `along` says for each axis whether units are selected along it; by default along all.
    """
    for dimension, axis in enumerate(axes):
        if axis is None or (along is not None and not along[dimension]):
            continue
        if isinstance(axis, Within):
            index = selection_within(axis, indices, tensor.shape[1], len(tensor))
            index = index.reshape(*index.shape, *(1,) * (tensor.dim() - 2))
            tensor = tensor.take_along_dim(index.to(tensor.device, non_blocking=True), dim=1)
        else:
            index = selection(axis, indices)
            tensor = tensor.index_select(dimension, index.to(tensor.device, non_blocking=True))
    return tensor


def region(
    axes: Sequence[Axis | Within | None], indices: Indices, taken: Sequence[int], shape: Sequence[int]
) -> tuple[Any, ...]:
    """Return the index of the part of a tensor that belongs to these units of each group.

    `taken` is the shape of the part and `shape` that of the tensor. The result holds one tensor of indices
    per axis; they broadcast to `taken`.
    """
    found: list[Any] = []
    for dimension, (axis, size) in enumerate(zip(axes, taken, strict=True)):
        if isinstance(axis, Within):
            index, along = selection_within(axis, indices, shape[1], taken[0]), list(taken[:2])
        else:
            index = torch.arange(size) if axis is None else selection(axis, indices)
            along = [1] * dimension + [size]
        found.append(index.reshape(*along, *(1,) * (len(taken) - len(along))))
    return tuple(found) or (...,)
