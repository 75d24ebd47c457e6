"""Operations that reorder, join or repeat whole axes."""

from collections.abc import Sequence
from typing import Any

import torch

from raysweep.symmetry.axes import Axis, Value, length, still
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.traced import NotUnderstoodError, Traced

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
