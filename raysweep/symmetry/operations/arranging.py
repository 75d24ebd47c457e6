"""Operations that reorder, join, cut or repeat whole axes."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from raysweep.symmetry.axes import Axis, Divided, Part, Value, length, still
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.traced import NotUnderstoodError, Stacked, Traced, Undivided

Axes = list[Axis]
# Operations in which the order along some axes matters: where the arguments name the axes, and those that are
# meant where they do not (None: all).
ALONG: dict[str, tuple[slice, tuple[int, ...] | None]] = {
    **dict.fromkeys(("cumsum", "cumprod", "logcumsumexp", "index_select", "unfold"), (slice(0, 1), None)),
    **dict.fromkeys(("sort", "argsort"), (slice(0, 1), (-1,))),
    **dict.fromkeys(("topk", "diff"), (slice(1, 2), (-1,))),
    "roll": (slice(1, 2), None),
    "flip": (slice(None), None),
    "fliplr": (slice(0), (1,)),
    "flipud": (slice(0), (0,)),
    **dict.fromkeys(("tril", "triu"), (slice(0), (-2, -1))),
}


def permute(groups: Groups, result: torch.Tensor, input: Traced, *dims: Any) -> Value:
    order = dims[0] if len(dims) == 1 and isinstance(dims[0], Sequence) else dims
    return tuple(input.axes[dim] for dim in order)


def transpose(groups: Groups, result: torch.Tensor, input: Traced, dim0: int, dim1: int) -> Value:
    axes = list(input.axes)
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return tuple(axes)


def reverse(groups: Groups, result: torch.Tensor, input: Traced) -> Value:
    return input.axes[::-1]


def matrix_transpose(groups: Groups, result: torch.Tensor, input: Traced) -> Value:
    return transpose(groups, result, input, -2, -1)


def move(groups: Groups, result: torch.Tensor, input: Traced, source: Any, destination: Any) -> Value:
    """Movedim: the other axes keep their order."""
    rank = input.tensor.dim()
    pairs = zip(*([each] if isinstance(each, int) else each for each in (source, destination)), strict=True)
    placed = {to % rank: of % rank for of, to in pairs}
    rest = iter(axis for axis in range(rank) if axis not in placed.values())
    return tuple(input.axes[placed[to] if to in placed else next(rest)] for to in range(rank))


def concatenate(groups: Groups, result: torch.Tensor, tensors: Sequence[Traced], dim: int = 0) -> Value:
    tensors = [each for each in tensors if each.tensor.shape != (0,)]  # torch leaves them out
    axes = _together(groups, tensors, skipped=dim % result.dim())
    axes[dim] = tuple(segment for tensor in tensors for segment in tensor.axes[dim])
    return tuple(axes)


def stack(groups: Groups, result: torch.Tensor, tensors: Sequence[Traced], dim: int = 0) -> Value:
    axes = _together(groups, tensors)
    axes.insert(dim % result.dim(), still(len(tensors)))
    return tuple(axes)


def _together(groups: Groups, tensors: Sequence[Traced], skipped: int | None = None) -> Axes:
    for tensor in tensors[1:]:
        if tensor.tensor.dim() != tensors[0].tensor.dim():
            raise NotUnderstoodError("joins tensors of different numbers of axes")
        for dimension, axis in enumerate(tensor.axes):
            if dimension != skipped:
                groups.merge(tensors[0].axes[dimension], axis)
    return list(tensors[0].axes)


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


def expand(groups: Groups, result: torch.Tensor, input: Traced, *_: Any, **__: Any) -> Value:
    """Copies of one entry are interchangeable, so they are units of a new group."""
    added = (still(1),) * (result.dim() - input.tensor.dim())
    return tuple(
        axis if length(axis) == size else groups.copies("expanded", size)
        for axis, size in zip((*added, *input.axes), result.shape, strict=True)
    )


def repeat(groups: Groups, result: torch.Tensor, input: Traced, *_: Any, **__: Any) -> Value:
    """Repeat and tile: whole copies of an axis, one after the other."""
    added = (still(1),) * (result.dim() - input.tensor.dim())
    axes = zip((*added, *input.axes), result.shape, strict=True)
    return tuple(
        groups.copies("repeated", size) if length(axis) == 1 < size else (axis) * (size // length(axis))
        for axis, size in axes
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
        axis = axes[-1 - from_end]
        if mode == "constant":
            axes[-1 - from_end] = _padding(groups, before) + axis + _padding(groups, after)
        elif before or after:
            groups.fix(axis)
            axes[-1 - from_end] = still(result.shape[-1 - from_end])
    return tuple(axes)


def _padding(groups: Groups, size: int) -> Axis:
    return groups.copies("padding", size) if size else ()


class Along:
    """Roll, flip, cumsum, sort and the like: the entries along some axes stay in place."""

    def __init__(self, named: slice, otherwise: tuple[int, ...] | None) -> None:
        """`named` says which positional arguments name the axes, `otherwise` which are meant without them."""
        self._named, self._otherwise = named, otherwise

    def __call__(self, groups: Groups, result: Any, input: Traced, *args: Any, **kwargs: Any) -> Any:
        rank = input.tensor.dim()
        chosen = {dim % rank for dim in self._dims(args, kwargs) or range(rank)}
        for dim in chosen:
            groups.fix(input.axes[dim])

        def axes(tensor: torch.Tensor) -> Value:
            if tensor.dim() != rank:
                raise NotUnderstoodError("returns another number of axes")
            sizes = enumerate(tensor.shape)
            return tuple(still(size) if dim in chosen else input.axes[dim] for dim, size in sizes)

        return axes(result) if isinstance(result, torch.Tensor) else [axes(each) for each in result]

    def _dims(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Sequence[int]:
        """Return the axes that a call names; none where all of them are meant."""
        named = next((kwargs[key] for key in ("dim", "dims", "axis") if key in kwargs), None)
        found = args[self._named] if named is None else [named]
        if len(found) == 1 and isinstance(found[0], Sequence):
            found = found[0]
        if found and all(isinstance(each, int) and not isinstance(each, bool) for each in found):
            return list(found)
        return self._otherwise or ()


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


def embedding(
    groups: Groups, result: torch.Tensor, input: Traced, weight: Traced, *_: Any, **__: Any
) -> Value:
    """The rows of the weight are those of a vocabulary, and stay in place."""
    groups.fix(weight.axes[0], reason="")
    return (*input.axes, weight.axes[1])


def gated(groups: Groups, result: torch.Tensor, input: Traced, dim: int = -1) -> Value:
    """GLU: the second half of an axis gates the first."""
    half = length(input.axes[dim]) // 2
    first, second = (groups.take(input.axes[dim], at, at + half) for at in (0, half))
    groups.merge(first, second)
    axes = list(input.axes)
    axes[dim] = first
    return tuple(axes)


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
