"""Tensors with the segments of their axes, and the way in which an operation is refused."""

from dataclasses import dataclass

import torch

from raysweep.symmetry.groups import Axis, Groups, Value, length, still


class NotUnderstoodError(Exception):
    """An operation whose effect on the axes is not known; the text says why, without naming the place."""


@dataclass(frozen=True)
class Traced:
    """A tensor and, for each of its axes, the segments along it."""

    tensor: torch.Tensor
    axes: Value


def constant(tensor: torch.Tensor) -> Traced:
    """A tensor that no permutation of the network's units changes."""
    return Traced(tensor, tuple(still(size) for size in tensor.shape))


def checked(tensor: torch.Tensor, axes: Value) -> Traced:
    """Pair a tensor with its axes. Raises `NotUnderstoodError` when their lengths are not its shape."""
    if [length(axis) for axis in axes] != list(tensor.shape):
        raise NotUnderstoodError("is used with arguments that are not understood")
    return Traced(tensor, axes)


def fix_all(groups: Groups, axes: tuple[Axis, ...]) -> None:
    for axis in axes:
        groups.fix(axis)
