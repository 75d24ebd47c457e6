"""How freely the hidden units of a network can be reordered."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raysweep.symmetry.axes import Blocks, Shared, groups_of, segments
from raysweep.symmetry.left_alone import LeftAlone
from raysweep.symmetry.settling import Axes


@dataclass(frozen=True)
class Movement:
    """Numbers of hidden units: those that move `freely`, those that move only `in_blocks`, those that `stay`.

    Units move in blocks where their order inside is fixed (a channel shuffle) and where each has to stay in
    its block or move with it (a grouped convolution).
    """

    freely: int
    in_blocks: int
    stay: int

    @property
    def units(self) -> int:
        return self.freely + self.in_blocks + self.stay

    def __str__(self) -> str:
        if not self.units:
            return "has no hidden units that can be reordered, so aligning it changes nothing"
        vain = "" if self.freely or self.in_blocks else ", so aligning it changes nothing"
        return (
            f"of {self.units:,} hidden units {self._share(self.freely)} can be reordered freely, "
            f"{self._share(self.in_blocks)} only in blocks, and {self._share(self.stay)} stay{vain}"
        )

    def _share(self, units: int) -> str:
        return f"{units:,} ({units / self.units:.0%})"


def movement(
    axes: Mapping[str, Axes],
    sizes: Mapping[str, int],
    blocks: Sequence[Blocks],
    left_alone: Sequence[LeftAlone],
) -> Movement:
    """Return how freely the units of a spec move; see `Structure` for the arguments."""
    entries = _entries(axes)
    bound = _bound(entries, axes, sizes, blocks)
    freely = sum(size for group, size in sizes.items() if group not in bound)
    in_blocks = sum(entries[group] for group in bound)
    return Movement(freely, in_blocks, sum(each.units for each in left_alone))


def bound_groups(
    axes: Mapping[str, Axes], sizes: Mapping[str, int], blocks: Sequence[Blocks]
) -> frozenset[str]:
    """Return the groups whose units lie in blocks, are whole blocks of entries, or are shared by heads."""
    return _bound(_entries(axes), axes, sizes, blocks)


def _bound(
    entries: Mapping[str, int], axes: Mapping[str, Axes], sizes: Mapping[str, int], blocks: Sequence[Blocks]
) -> frozenset[str]:
    inside = {group for each in blocks for group in each.groups}
    every = [segment for each in axes.values() for axis in each for segment in segments(axis)]
    shared = {group for each in every if isinstance(each, Shared) for group in groups_of((each,))}
    return frozenset(inside | shared | {group for group, size in sizes.items() if entries[group] > size})


def _entries(axes: Mapping[str, Axes]) -> dict[str, int]:
    """Return by group how many entries it moves along the axis that has the fewest of it.

    That is the axis of its hidden units; there are more entries where these are flattened with pixels.
    """
    found: dict[str, int] = {}
    for axis in (axis for each in axes.values() for axis in each):
        entries: Counter[str] = Counter()
        for segment in segments(axis):
            for group in groups_of((segment,)):
                entries[group] += segment.size
        found |= {group: min(count, found.get(group, count)) for group, count in entries.items()}
    return found
