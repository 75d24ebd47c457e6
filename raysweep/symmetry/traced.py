"""Tensors with the segments of their axes, and the error of an operation that is not understood."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from raysweep.symmetry.axes import Axis, Part, Value, length, still
from raysweep.symmetry.groups import Groups


class NotUnderstoodError(Exception):
    """An operation whose effect on the axes is not known; the text says why, without naming the operation."""


class Undivided(Exception):
    """An operation that needs to know where the entries of divided axes are: the inner ones have to stay in
    place."""


@dataclass(frozen=True)
class Traced:
    """A tensor and, for each of its axes, the segments along it."""

    tensor: torch.Tensor
    axes: Value


@dataclass(frozen=True)
class Stacked(Traced):
    """The last states of several layers along axis 0; the units of each, along the last axis, are those of a
    layer."""

    units: tuple[Axis, ...]


@dataclass(frozen=True)
class Constant(Traced):
    """A tensor that depends on neither inputs nor parameters, with the version of its values."""

    version: int

    @property
    def is_written(self) -> bool:
        """Whether an in-place operation has changed it since."""
        return self.tensor._version != self.version

    def is_equal_along(self, dimension: int) -> bool:
        """Whether the entries along an axis are equal, so that no permutation of them changes it."""
        first = self.tensor.narrow(dimension, 0, min(1, self.tensor.shape[dimension]))
        return not self.is_written and bool((self.tensor == first).all())

    @property
    def is_zero(self) -> bool:
        return not self.is_written and not bool(self.tensor.any())


def unmoved(tensor: torch.Tensor, why: str = "") -> Traced:
    """Return a tensor whose entries stay in place, for the reason `why`."""
    return Traced(tensor, tuple(still(size, why) for size in tensor.shape))


def constant(tensor: torch.Tensor) -> Constant:
    axes = unmoved(tensor, "joins them with a constant whose entries differ").axes
    return Constant(tensor, axes, tensor._version)


def checked(tensor: torch.Tensor, axes: Value) -> Traced:
    """Pair a tensor with its axes. Raises `NotUnderstoodError` when their lengths are not its shape."""
    if [length(axis) for axis in axes] != list(tensor.shape):
        raise NotUnderstoodError("is used with arguments that are not understood")
    return Traced(tensor, axes)


def fix_all(groups: Groups, axes: Iterable[Axis], reason: str = "needs their order") -> None:
    """Make the entries of axes, none of which is divided, stay in place."""
    for axis in axes:
        assert not isinstance(axis, Part)
        groups.fix(axis, reason)
