"""Reshaping in row-major order: flatten, view, reshape, squeeze, unsqueeze and the like."""

import math
from functools import reduce
from typing import Any

import torch

from raysweep.symmetry.axes import Axis, Segment, Value, length, scaled, still
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.traced import NotUnderstoodError, Traced


def reshape(groups: Groups, result: torch.Tensor, input: Traced, *_: Any, **__: Any) -> Value:
    """The two shapes say all: entries keep their row-major order."""
    if result.numel() != input.tensor.numel() or result.dtype != input.tensor.dtype or not result.numel():
        raise NotUnderstoodError("changes more than the shape")
    old = [axis for axis in input.axes if length(axis) != 1]
    new = [size for size in result.shape if size != 1]
    axes = iter(_regroup(groups, old, new))
    return tuple(still(1) if size == 1 else next(axes) for size in result.shape)


def _regroup(groups: Groups, old: list[Axis], new: list[int]) -> list[Axis]:
    """Reshape the shortest runs of axes whose sizes have equal products, one after the other."""
    axes: list[Axis] = []
    while old:
        olds, news = [old.pop(0)], [new.pop(0)]
        while (size := math.prod(map(length, olds))) != math.prod(news):
            if size < math.prod(news):
                olds.append(old.pop(0))
            else:
                news.append(new.pop(0))
        axis = reduce(lambda outer, inner: _combine(groups, outer, inner), olds)
        for count in news[:-1]:
            outer, axis = _divide(groups, axis, count)
            axes.append(outer)
        axes.append(axis)
    return axes


def _combine(groups: Groups, outer: Axis, inner: Axis) -> Axis:
    """Make one axis of two; where both move, the inner one is made to stay in place."""
    if _moves(groups, outer):
        groups.fix(inner)
    if _moves(groups, inner):
        return inner * length(outer)
    return scaled(outer, length(inner))


def _divide(groups: Groups, axis: Axis, count: int) -> tuple[Axis, Axis]:
    """Divide an axis into `count` equal runs: the axis of the runs, and the axis within a run."""
    axis = groups.resolve(axis)
    inner = length(axis) // count
    if not _moves(groups, axis):
        return still(count, axis[0].why), still(inner, axis[0].why)
    if all(s.size % inner == 0 and (s.group is None or s.repeat % inner == 0) for s in axis):
        return tuple(Segment(s.group, s.size // inner, max(1, s.repeat // inner)) for s in axis), still(inner)
    run = axis[: len(axis) // count]
    if run * count == axis:
        return still(count), run
    name = next(s.group for s in axis if s.group is not None)
    outer = groups.new(f"{name}.blocks", count)
    groups.merge(axis, scaled(outer, inner))
    return outer, still(inner)


def _moves(groups: Groups, axis: Axis) -> bool:
    return any(segment.group is not None for segment in groups.resolve(axis))
