"""Axes as lists of segments of groups of interchangeable units.

A segment of a group with n units and repeat r covers n * r entries: unit i is the block of r entries from
i * r (flattening channels x height x width gives r = height * width).
"""

import sys
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Segment:
    """`size` consecutive entries of an axis that belong to `group` (None: they stay in place).

    `why` says what left hidden units in place; it is empty for what is no hidden unit, as pixels.
    """

    group: str | None
    size: int
    repeat: int = 1
    why: str = field(default="", compare=False)


COPIES = sys.maxsize  # comes first in the order of a group of equal entries
Axis = tuple[Segment, ...]
Value = tuple[Axis, ...]  # the axes of a tensor


@dataclass(frozen=True)
class Within:
    """Axis 1 of a tensor whose rows, along axis 0, lie in `count` equal blocks.

    The entries of the rows of block b are those of the bth of `count` equal runs of `axis`, as the weights of
    a convolution in groups are.
    """

    axis: Axis
    count: int


@dataclass(frozen=True)
class Blocks:
    """Groups whose units lie in `count` equal blocks of consecutive units.

    Units move freely inside each block, and whole blocks move alike in all of the groups. A group of as many
    units as there are blocks has one unit in each.
    """

    count: int
    groups: tuple[str, ...]


def still(size: int, why: str = "") -> Axis:
    """An axis that stays in place."""
    return (Segment(None, size, why=why),)


def segments(axis: Axis | Within | None) -> Axis:
    """The segments by which an axis moves."""
    return axis.axis if isinstance(axis, Within) else axis or ()


def length(axis: Axis | Within) -> int:
    total = sum(segment.size for segment in segments(axis))
    return total // axis.count if isinstance(axis, Within) else total


def scaled(axis: Axis, factor: int) -> Axis:
    """The axis with every entry replaced by `factor` consecutive ones."""
    return tuple(
        replace(s, size=s.size * factor, repeat=1 if s.group is None else s.repeat * factor) for s in axis
    )


@dataclass(frozen=True)
class Grouped:
    """A convolution in groups: the axes of its input and of its channels, its weight's axis 1, its blocks."""

    incoming: Axis
    channels: Axis
    features: Axis
    blocks: Axis
