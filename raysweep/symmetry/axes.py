"""Axes as lists of segments; each segment belongs to a layer group, or stays in place.

A segment of a group with n units and repeat r covers n * r entries: unit i is the block of r entries from
i * r (flattening channels x height x width gives r = height * width).
"""

import sys
from dataclasses import dataclass, field, replace
from itertools import accumulate


@dataclass(frozen=True)
class Segment:
    """`size` consecutive entries of an axis that belong to `group` (None: they stay in place).

    `why` is the reason why hidden units stay in place; it is empty for entries that are not hidden units,
    such as pixels.
    """

    group: str | None
    size: int
    repeat: int = 1
    why: str = field(default="", compare=False)


@dataclass(frozen=True)
class Shared(Segment):
    """The entries of heads that share the units of a group: those of values, where several heads of queries
    read one of keys and values.

    The heads are the units of another group, `heads`, one after the other. The units of both groups lie in
    `blocks` equal blocks, which move together; entry u of a head is the uth unit of the block with the same
    number as the head's.
    """

    heads: str = ""
    count: int = 1  # of heads
    blocks: int = 1


COPIES = sys.maxsize  # marks, in the order of the groups, those of equal entries
Axis = tuple[Segment, ...]


@dataclass(eq=False)
class Divided:
    """An axis that a reshape has divided into several: `sizes` are their lengths, the outermost first.

    Nothing is said yet of the order of its entries. If it is divided in two, its runs may move as whole
    blocks, and the entries inside each run on their own: those of a head of attention. `heads` is then the
    axis of the blocks.
    """

    axis: Axis
    sizes: tuple[int, ...]
    heads: Axis | None = None

    def parts(self) -> tuple["Part", ...]:
        """Return the axes that it is divided into."""
        return tuple(Part(self, number) for number in range(len(self.sizes)))


class Part(tuple[Segment, ...]):
    """One of the axes into which an axis is divided; a tensor has all of them or none.

    As an axis like others its entries stay in place, which holds once the whole is `undivided`.
    """

    whole: Divided
    number: int

    def __new__(cls, whole: Divided, number: int) -> "Part":
        """Make the part of this number, the outermost being 0."""
        made = super().__new__(cls, still(whole.sizes[number]))
        made.whole, made.number = whole, number
        return made


Value = tuple[Axis, ...]  # the axes of a tensor


@dataclass(frozen=True)
class Within:
    """Axis 1 of a tensor whose rows, along axis 0, lie in `count` equal blocks.

    The entries of the rows of block b are those of the bth of `count` equal runs of `axis`, as in the weight
    of a grouped convolution.
    """

    axis: Axis
    count: int


@dataclass(frozen=True)
class Blocks:
    """Groups whose units lie in `count` equal blocks of consecutive units.

    Units move freely inside each block, and the blocks themselves are reordered in the same way in all of the
    groups. A group with as many units as there are blocks has one unit in each.
    """

    count: int
    groups: tuple[str, ...]


def still(size: int, why: str = "") -> Axis:
    """Return an axis of `size` entries that stay in place, for the reason `why`."""
    return (Segment(None, size, why=why),)


def segments(axis: Axis | Within | None) -> Axis:
    """Return the segments along an axis."""
    return axis.axis if isinstance(axis, Within) else axis or ()


def groups_of(axis: Axis | Within | None) -> tuple[str, ...]:
    """Return the groups along an axis, each once."""
    found = (
        group
        for segment in segments(axis)
        for group in (segment.group, getattr(segment, "heads", None))
        if group is not None
    )
    return tuple(dict.fromkeys(found))


def starts(axis: Axis | Within | None) -> list[tuple[int, Segment]]:
    """Return the segments along an axis with the numbers of their first entries."""
    own = segments(axis)
    return list(zip(accumulate((segment.size for segment in own), initial=0), own, strict=False))


def length(axis: Axis | Within) -> int:
    """Return the number of entries along an axis."""
    total = sum(segment.size for segment in segments(axis))
    return total // axis.count if isinstance(axis, Within) else total


def scaled(axis: Axis, factor: int) -> Axis:
    """Return the axis with every entry replaced by `factor` consecutive ones."""
    return tuple(
        replace(s, size=s.size * factor, repeat=1 if s.group is None else s.repeat * factor) for s in axis
    )


@dataclass(frozen=True)
class Grouped:
    """A grouped convolution: the axes of its input channels, its output channels, its weight's axis 1 (the
    features) and its blocks."""

    incoming: Axis
    channels: Axis
    features: Axis
    blocks: Axis


@dataclass(frozen=True)
class Repeated:
    """Heads that share units (see `Shared`): the axes of their entries, of the heads, of the units, and of
    the blocks of both; and the operation that brings them together."""

    entries: Axis
    heads: Axis
    units: Axis
    blocks: Axis
    operation: str
