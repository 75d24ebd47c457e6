"""Operations that reorder, join, cut or repeat whole axes."""

from collections.abc import Sequence
from typing import Any

import torch

from raysweep.symmetry.axes import Axis, Value, length, still
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.traced import NotUnderstoodError, Traced


def permute(groups: Groups, result: torch.Tensor, input: Traced, *dims: Any) -> Value:
    order = dims[0] if len(dims) == 1 and isinstance(dims[0], Sequence) else dims
    return tuple(input.axes[dim] for dim in order)


def transpose(groups: Groups, result: torch.Tensor, input: Traced, dim0: int, dim1: int) -> Value:
    axes = list(input.axes)
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return tuple(axes)


def reverse(groups: Groups, result: torch.Tensor, input: Traced) -> Value:
    return input.axes[::-1]


def attribute(groups: Groups, result: torch.Tensor, input: Traced, name: str) -> Value:
    if name == "T":
        return input.axes[::-1]
    if name == "data":
        return input.axes
    raise NotUnderstoodError(f"reads the attribute {name}")


def concatenate(groups: Groups, result: torch.Tensor, tensors: Sequence[Traced], dim: int = 0) -> Value:
    axes = _together(groups, tensors, skipped=dim % result.dim())
    axes[dim] = tuple(segment for tensor in tensors for segment in tensor.axes[dim])
    return tuple(axes)


def stack(groups: Groups, result: torch.Tensor, tensors: Sequence[Traced], dim: int = 0) -> Value:
    axes = _together(groups, tensors)
    axes.insert(dim % result.dim(), still(len(tensors)))
    return tuple(axes)


def _together(groups: Groups, tensors: Sequence[Traced], skipped: int | None = None) -> list[Axis]:
    for tensor in tensors[1:]:
        if tensor.tensor.dim() != tensors[0].tensor.dim():
            raise NotUnderstoodError("joins tensors of different numbers of axes")
        for dimension, axis in enumerate(tensor.axes):
            if dimension != skipped:
                groups.merge(tensors[0].axes[dimension], axis)
    return list(tensors[0].axes)


def pieces(
    groups: Groups, result: Sequence[torch.Tensor], input: Traced, sections: Any, dim: int = 0
) -> list[Value]:
    """Chunk and split: the lengths of the pieces are those of the results."""
    values, start = [], 0
    for piece in result:
        axes = list(input.axes)
        axes[dim] = groups.take(input.axes[dim], start, start + piece.shape[dim])
        start += piece.shape[dim]
        values.append(tuple(axes))
    return values


def expand(groups: Groups, result: torch.Tensor, input: Traced, *_: Any) -> Value:
    """Copies of one entry are interchangeable, so they are units of a new group."""
    added = (still(1),) * (result.dim() - input.tensor.dim())
    return tuple(
        axis if length(axis) == size else groups.copies("expanded", size)
        for axis, size in zip((*added, *input.axes), result.shape, strict=True)
    )


def pad(
    groups: Groups,
    result: torch.Tensor,
    input: Traced,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Value:
    """Padded constants are interchangeable, so they are units of a new group."""
    if min(pad) < 0:
        raise NotUnderstoodError("pads by a negative number")
    axes = list(input.axes)
    for from_end in range(len(pad) // 2):
        before, after = pad[2 * from_end], pad[2 * from_end + 1]
        if mode == "constant":
            axes[-1 - from_end] = _padding(groups, before) + axes[-1 - from_end] + _padding(groups, after)
        elif before or after:
            groups.fix(axes[-1 - from_end])
            axes[-1 - from_end] = still(result.shape[-1 - from_end])
    return tuple(axes)


def _padding(groups: Groups, size: int) -> Axis:
    return groups.copies("padding", size) if size else ()


def getitem(groups: Groups, result: torch.Tensor, input: Traced, index: Any) -> Value:
    """Indexing by integers, slices, None and Ellipsis."""
    items = list(index) if isinstance(index, tuple) else [index]
    if not all(item is None or item is ... or isinstance(item, int | slice) for item in items):
        raise NotUnderstoodError("indexes by something other than integers and slices")
    taken = sum(item is not None and item is not ... for item in items)
    whole = [slice(None)] * (input.tensor.dim() - taken)
    ellipsis = items.index(...) if ... in items else len(items)
    items[ellipsis : ellipsis + 1] = whole
    rest, axes = iter(input.axes), []
    for item in items:
        if item is None:
            axes.append(still(1))
        elif isinstance(item, slice):
            axes.append(_sliced(groups, next(rest), item))
        else:
            groups.fix(groups.take(axis := next(rest), item % length(axis), item % length(axis) + 1))
    return tuple(axes)


def _sliced(groups: Groups, axis: Axis, item: slice) -> Axis:
    start, stop, step = item.indices(length(axis))
    if step == 1:
        return groups.take(axis, start, max(start, stop))
    groups.fix(axis)
    return still(len(range(start, stop, step)))
