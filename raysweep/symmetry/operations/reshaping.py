"""Reshaping in row-major order: flatten, view, reshape, squeeze, unsqueeze and the like."""

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch

from raysweep.symmetry.axes import Axis, Divided, Part, Repeated, Value, length, scaled, still
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.operations.dividing import divide, moves, repeated, simply_divided
from raysweep.symmetry.traced import NotUnderstoodError, Traced, Undivided, fix_all

Axes = list[Axis]


def reshape(groups: Groups, result: torch.Tensor, input: Traced, *_: Any, **__: Any) -> Value:
    """The two shapes say all: entries keep their row-major order."""
    if result.numel() != input.tensor.numel() or result.dtype != input.tensor.dtype or not result.numel():
        raise NotUnderstoodError("changes more than the shape")
    new = [size for size in result.shape if size != 1]
    old = _repeated_together(groups, [axis for axis in input.axes if length(axis) != 1], new)
    axes = iter(_regroup(groups, old, new))
    return tuple(still(1) if size == 1 else next(axes) for size in result.shape)


def _regroup(groups: Groups, old: Axes, new: list[int]) -> Axes:
    """Reshape the shortest runs of axes whose sizes have equal products, one after the other."""
    axes: Axes = []
    while old:
        olds, news = [old.pop(0)], [new.pop(0)]
        while (size := math.prod(map(length, olds))) != math.prod(news):
            if size < math.prod(news):
                olds.append(old.pop(0))
            else:
                news.append(new.pop(0))
        if len(olds) == 1 == len(news):
            axes += olds
            continue
        whole = reduce(lambda outer, inner: _combine(groups, outer, inner), _joined(olds))
        axes += _divided(groups, whole, news)
    return axes


def _repeated_together(groups: Groups, old: Axes, new: list[int]) -> Axes:
    """Join the runs of an axis divided in two with the copies of them behind, where a reshape does so."""
    for at, axis in enumerate(old[:-1]):
        if not isinstance(axis, Part) or axis.number or len(axis.whole.sizes) != 2:
            continue
        before, both = math.prod(map(length, old[:at])), length(axis) * length(old[at + 1])
        ends = [math.prod(new[:end]) for end in range(len(new))]
        if groups.are_copies(old[at + 1]) and before in ends and new[ends.index(before)] == both:
            return repeated_runs(groups, [*old[: at + 1], *old[at + 2 :]], axis.whole, length(old[at + 1]))
    return old


def repeated_runs(groups: Groups, axes: Sequence[Axis], whole: Divided, times: int) -> Axes:
    """Repeat the runs of a divided axis of a tensor, each so many times in a row."""
    parts = repeated(groups, whole, times).parts()
    return [parts[axis.number] if isinstance(axis, Part) and axis.whole is whole else axis for axis in axes]


def repeat_interleave(
    groups: Groups, result: torch.Tensor, input: Traced, repeats: Any, dim: int | None = None
) -> Value:
    """Copies of each entry along an axis, in a row."""
    if not isinstance(repeats, int) or dim is None:
        raise NotUnderstoodError("repeats entries unequally, or those of all axes")
    return interleaved(groups, input.axes, dim, repeats)


def interleaved(groups: Groups, axes: Value, dim: int, repeats: int) -> Value:
    """Return the axes of a tensor whose entries along one axis are repeated, each so many times in a row."""
    axis = axes[dim]
    if repeats == 1:
        return axes
    if isinstance(axis, Part):
        if axis.number or len(axis.whole.sizes) != 2:
            raise Undivided
        return tuple(repeated_runs(groups, axes, axis.whole, repeats))
    found = list(axes)
    found[dim] = _combine(groups, axis, groups.copies("repeated", repeats))
    return tuple(found)


def _joined(axes: Axes) -> list[Axis]:
    """Join the parts of divided axes. Raises `Undivided` where they are not all there, in their order."""
    found: list[Axis] = []
    rest = list(axes)
    while rest:
        first = rest.pop(0)
        if isinstance(first, Part):
            missing = first.whole.parts()[1:]
            following = rest[: len(missing)]
            if first.number or len(following) < len(missing):
                raise Undivided
            for wanted, given in zip(missing, following, strict=True):
                if not (
                    isinstance(given, Part) and given.whole is first.whole and given.number == wanted.number
                ):
                    raise Undivided
            del rest[: len(missing)]
            first = first.whole.axis
        found.append(first)
    return found


def _divided(groups: Groups, axis: Axis, sizes: list[int]) -> Axes:
    """Divide an axis; where that would tie its entries to each other, this is left open."""
    found: Axes = []
    for number, count in enumerate(sizes[:-1]):
        simple = simply_divided(groups, axis, count)
        if simple is None:
            return [*found, *Divided(axis, tuple(sizes[number:])).parts()]
        outer, axis = simple
        found.append(outer)
    return [*found, axis]


def _combine(groups: Groups, outer: Axis, inner: Axis) -> Axis:
    """Make one axis of two; where both move, the entries are those of heads that share units."""
    if moves(groups, outer) and moves(groups, inner):
        if groups.are_copies(inner):
            joined = groups.new("copies", length(outer) * length(inner))
            groups.block(joined, outer)
            return joined
        joined = groups.unnamed("joined", length(outer) * length(inner))
        groups.repeated.append(Repeated(joined, outer, inner, still(1), groups.operation))
        return joined
    if moves(groups, inner):
        return inner * length(outer)
    return scaled(outer, length(inner))


def channel_shuffle(groups: Groups, result: torch.Tensor, input: Traced, number: int) -> Value:
    """The channels lie in `number` runs, whose first entries come first, and then the second ones."""
    axis = input.axes[1]
    assert not isinstance(axis, Part)
    outer, inner = divide(groups, axis, number)
    return (input.axes[0], _combine(groups, inner, outer), *input.axes[2:])


def pixel_shuffle(groups: Groups, result: torch.Tensor, input: Traced, factor: int) -> Value:
    """Runs of channels become the pixels of one channel."""
    channels, *places = input.axes[-3:]
    fix_all(groups, places)
    assert not isinstance(channels, Part)
    outer, _ = divide(groups, channels, result.shape[-3])
    return (*input.axes[:-3], outer, *(still(size) for size in result.shape[-2:]))


def pixel_unshuffle(groups: Groups, result: torch.Tensor, input: Traced, factor: int) -> Value:
    """The pixels of one channel become runs of channels."""
    channels, *places = input.axes[-3:]
    fix_all(groups, places)
    assert not isinstance(channels, Part)
    return (*input.axes[:-3], scaled(channels, factor**2), *(still(size) for size in result.shape[-2:]))
