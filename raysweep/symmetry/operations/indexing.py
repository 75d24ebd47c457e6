"""Operations that take entries of axes, or write to them."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from raysweep.symmetry.axes import Axis, Divided, Part, Value, length, still
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.traced import NotUnderstoodError, Stacked, Traced, Undivided

Axes = list[Axis]


def pieces(
    groups: Groups,
    result: Sequence[torch.Tensor],
    input: Traced,
    *args: Any,
    dim: int | None = None,
    **_: Any,
) -> list[Value]:
    """Chunk and split: the lengths of the pieces are those of the results."""
    values, start = [], 0
    if dim is None:
        dim = args[1] if len(args) > 1 else 0
    for piece in result:
        stop = start + piece.shape[dim]
        values.append(tuple(_taken(groups, input.axes, dim % len(input.axes), start, stop)))
        start = stop
    return values


def unbind(groups: Groups, result: Sequence[torch.Tensor], input: Traced, dim: int = 0) -> list[Value]:
    return [_entry(groups, input, dim, index) for index in range(len(result))]


def select(groups: Groups, result: torch.Tensor, input: Traced, dim: int, index: int) -> Value:
    return _entry(groups, input, dim, index)


def narrow(groups: Groups, result: torch.Tensor, input: Traced, dim: int, start: int, length: int) -> Value:
    return tuple(_taken(groups, input.axes, dim % len(input.axes), int(start), int(start) + length))


def _entry(groups: Groups, input: Traced, dim: int, index: int) -> Value:
    """Return the axes of one entry along an axis, which vanishes."""
    dim %= len(input.axes)
    if isinstance(input, Stacked) and dim == 0:
        return (*input.axes[1:-1], input.units[index % len(input.units)])
    index %= length(input.axes[dim])
    axes = _taken(groups, input.axes, dim, index, index + 1)
    groups.fix(axes.pop(dim))
    return tuple(axes)


def _taken(groups: Groups, axes: Sequence[Axis], dim: int, start: int, stop: int) -> Axes:
    """Take the entries from `start` up to `stop` of one axis; of a divided axis these are runs."""
    found, axis = list(axes), axes[dim]
    if not isinstance(axis, Part):
        found[dim] = groups.take(axis, start, stop)
        return found
    whole, inner = axis.whole, axis.whole.sizes[1:]
    if (start, stop) == (0, whole.sizes[axis.number]):
        return found
    if axis.number or whole.heads is not None:
        raise Undivided
    run = math.prod(inner)
    taken = groups.take(whole.axis, start * run, stop * run)
    if stop - start > 1:
        parts: Sequence[Axis] = Divided(taken, (stop - start, *inner)).parts()
    else:
        parts = (still(1), *(Divided(taken, inner).parts() if len(inner) > 1 else (taken,)))
    for at, each in enumerate(axes):
        if isinstance(each, Part) and each.whole is whole:
            found[at] = parts[each.number]
    return found


def getitem(groups: Groups, result: torch.Tensor, input: Traced, index: Any) -> Value:
    """Indexing by integers, slices, None, Ellipsis, and one list of numbers, whose axis stays in place."""
    items = list(index) if isinstance(index, tuple) else [index]
    taken = sum(item is not None and item is not ... for item in items)
    if any(isinstance(item, bool) for item in items):
        raise NotUnderstoodError("indexes by a condition")
    if isinstance(input, Stacked) and isinstance(items[0], int) and len(items) == 1:
        return _entry(groups, input, 0, items[0])
    whole = [slice(None)] * (input.tensor.dim() - taken)
    at = next((number for number, item in enumerate(items) if item is ...), len(items))
    items[at : at + 1] = whole
    axes: Axes = list(input.axes)
    dim = 0
    for item in items:
        if item is None:
            axes.insert(dim, still(1))
            dim += 1
        elif isinstance(item, slice):
            start, stop, step = item.indices(length(axes[dim]))
            if step == 1:
                axes = _taken(groups, axes, dim, start, max(start, stop))
            else:
                groups.fix(_sole(axes[dim]))
                axes[dim] = still(len(range(start, stop, step)))
            dim += 1
        elif isinstance(item, int):
            index = item % length(axes[dim])
            axes = _taken(groups, axes, dim, index, index + 1)
            groups.fix(_sole(axes.pop(dim)))
        else:
            dim = _by_numbers(groups, axes, dim, item, items)
    return tuple(axes)


def _by_numbers(groups: Groups, axes: Axes, dim: int, item: Any, items: Sequence[Any]) -> int:
    """Index by numbers: the axis stays in place, and those of the numbers take its place."""
    numbers = item.tensor if isinstance(item, Traced) else torch.as_tensor(item)
    lists = sum(isinstance(each, Traced | list | torch.Tensor) for each in items)
    if numbers.dtype == torch.bool or lists > 1:
        raise NotUnderstoodError("indexes by a condition, or by several lists")
    groups.fix(_sole(axes[dim]))
    for axis in item.axes if isinstance(item, Traced) else ():
        groups.fix(axis, reason="")
    axes[dim : dim + 1] = [still(size) for size in numbers.shape]
    return dim + numbers.dim()


def _sole(axis: Axis) -> Axis:
    if isinstance(axis, Part):
        raise Undivided
    return axis


def setitem(groups: Groups, result: None, input: Traced, index: Any, value: Any) -> None:
    """Write into a tensor: what is written moves as the entries that it replaces."""
    target = Traced(_index(input.tensor, index), ())
    axes = getitem(groups, target.tensor, input, index)
    if isinstance(value, Traced):
        rank = len(axes)
        for from_end, axis in enumerate(reversed(value.axes)):
            if from_end < rank and length(axis) == length(axes[-1 - from_end]) > 1:
                groups.merge(_sole(axes[-1 - from_end]), _sole(axis))


def _index(tensor: torch.Tensor, index: Any) -> torch.Tensor:
    """Return the entries of a tensor at an index in which tensors are `Traced`."""
    return tensor[pytree.tree_map_only(Traced, lambda each: each.tensor, index)]
