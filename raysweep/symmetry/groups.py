"""Layer groups while a network is traced: they are unified where an operation joins two axes.

A group may thereby follow another one, move in larger blocks, be split, or be made to stay in place. Its
units may also lie in equal blocks: they are free inside a block, while the blocks move as the entries of
another axis do.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from raysweep.symmetry.axes import COPIES, Axis, Grouped, Repeated, Segment, length, scaled, still


class Groups:
    """All groups of a network: union-find whose members may also be split, coarsened or fixed.

    `operation` describes the current operation, and `own` holds the groups of the parameters that it reads,
    as they are or in a weight that is computed of them. `pinned` counts, by reason, the hidden units that
    were made to stay in place. A group in `own` that only meets pixels or other positions of the input does
    not consist of hidden units.
    """

    def __init__(self) -> None:
        self.operation = ""
        self.own: set[str] = set()
        self.pinned: dict[str, int] = {}
        self._units: dict[str, int] = {}
        self._order: dict[str, tuple[int, ...]] = {}  # the parts of a split group sort in its place
        self._origin: dict[
            str, tuple[str, int]
        ] = {}  # of a part: the group that was split first, and the first unit
        self._became: dict[str, Axis] = {}  # a group that is no longer free, in terms of others
        self._unnamed: set[str] = set()  # groups of no parameter
        self._blocks: dict[str, Axis] = {}  # the axis with whose entries the blocks of a group move
        self.grouped: list[Grouped] = []
        self.repeated: list[Repeated] = []

    def new(self, name: str, size: int, order: tuple[int, ...] | None = None) -> Axis:
        """Return the axis of a new group; a single unit cannot move and needs no group."""
        if size == 1:
            return still(1)
        unique, copy = name, 1
        while unique in self._units:
            copy += 1
            unique = f"{name}#{copy}"
        self._units[unique] = size
        self._order[unique] = order or (len(self._order),)
        return (Segment(unique, size),)

    def copies(self, name: str, size: int) -> Axis:
        """Return the axis of a new group of equal entries; it takes the name of any group that it meets."""
        return self.new(name, size, (COPIES, len(self._order)))

    def unnamed(self, name: str, size: int) -> Axis:
        """Return the axis of a new group of no parameter; it takes the name of any group that it meets."""
        axis = self.new(name, size)
        self._unnamed |= {segment.group for segment in axis if segment.group is not None}
        return axis

    def are_copies(self, axis: Axis) -> bool:
        """Whether all entries of an axis are equal, as `copies` are."""
        resolved = self.resolve(axis)
        return len(resolved) == 1 and self._order.get(str(resolved[0].group), (0,))[0] == COPIES

    def sizes(self) -> dict[str, int]:
        """Return the units of every group that is free, in the order in which the network creates them."""
        self._follow_all()
        free = [name for name in self._order if name not in self._became]
        return {name: self._units[name] for name in sorted(free, key=self._order.__getitem__)}

    def blocks(self) -> dict[str, str]:
        """Return, for every group in blocks, the group as whose units they move, which is not in blocks.

        Where blocks lie in blocks, the outermost are made to stay in place: most freedom is left inside.
        """
        self._follow_all()
        found = {name: str(axis[0].group) for name, axis in self._blocks.items()}
        outermost = [outer for outer in found.values() if outer in found and found[outer] not in found]
        if outermost:
            self.fix(self._blocks[outermost[0]], reason="")
            return self.blocks()
        return found

    def resolve(self, axis: Iterable[Segment]) -> Axis:
        """Express an axis in groups that are free; neighbours that stay in place become one segment."""
        result: list[Segment] = []
        rest = deque(axis)
        while rest:
            segment = rest.popleft()
            if segment.group is not None and segment.group in self._blocks:
                self._follow_blocks(segment.group)
            if segment.group in self._became:
                rest.extendleft(reversed(scaled(self._became[segment.group], segment.repeat)))
            elif (
                segment.group is None and result and (None, segment.why) == (result[-1].group, result[-1].why)
            ):
                result[-1] = replace(segment, size=result[-1].size + segment.size)
            else:
                result.append(segment)
        return tuple(result)

    def fix(self, axis: Axis, reason: str = "needs their order") -> None:
        """Make the units of an axis stay in place; `reason` says what the current operation does."""
        for segment in self.resolve(axis):
            if segment.group in self._became:  # since, with the blocks of another segment
                self.fix((segment,), reason)
            elif segment.group is not None:
                units = self._units[segment.group]
                self._became[segment.group] = self._pinned(segment.group, units, reason)
                self.fix(self._blocks.pop(segment.group, ()), reason="")

    def _pinned(self, group: str, units: int, reason: str) -> Axis:
        """Return units of a group as an axis that stays in place; without a reason they are not hidden."""
        whole = self._origin.get(group, (group, 0))[0]
        if whole in self.own | self._unnamed or not reason or self._order[group][0] == COPIES:
            return still(units)
        why = f"{self.operation} {reason}"
        self.pinned[why] = self.pinned.get(why, 0) + units
        return still(units, why)

    def cut(self, axis: Axis, at: int) -> None:
        """Make entry `at` the first of a segment; a unit across that border stays in place."""
        for segment in self.resolve(axis):
            if 0 < at < segment.size:
                self._cut_segment(segment, at)
            at -= segment.size

    def take(self, axis: Axis, start: int, stop: int) -> Axis:
        """Return the entries from `start` up to `stop` of an axis."""
        self.cut(axis, start)
        self.cut(axis, stop)
        parts, offset = [], 0
        for segment in self.resolve(axis):
            size = min(stop, offset + segment.size) - max(start, offset)
            if size > 0:
                parts.append(replace(segment, size=size))
            offset += segment.size
        return tuple(parts)

    def merge(self, left: Axis, right: Axis) -> None:
        """Make two axes of equal length move together."""
        if length(left) != length(right):
            raise ValueError(f"axes of lengths {length(left)} and {length(right)} cannot be merged")
        one_side, other_side = deque(left), deque(right)
        while one_side:
            one, other = self._first(one_side), self._first(other_side)
            if one.size == other.size:
                self._unify(one, other)
                continue
            longer, shorter = (one, other) if one.size > other.size else (other, one)
            self._cut_segment(longer, shorter.size)
            for side, segment in ((one_side, one), (other_side, other)):
                side.extendleft(reversed(self._parts(segment, shorter.size)))

    def block(self, axis: Axis, blocks: Axis) -> None:
        """Make the entries of an axis move inside equal runs, and the runs as the entries of `blocks` do.

        A run that is not made of whole segments or of whole units of one segment stays in place.
        """
        run, position, rest = length(axis) // length(blocks), 0, deque(axis)
        while rest:
            segment = self._first(rest)
            part = position % run != 0 or segment.size < run
            if part:
                self.fix(self.take(blocks, position // run, position // run + 1), reason="")
            size = min(segment.size, run - position % run) if part else segment.size // run * run
            if size < segment.size:
                self.cut((segment,), size)
                rest.extendleft(reversed(self._parts(segment, size)))
                continue
            if not part:
                self._block_segment(segment, self.take(blocks, position // run, (position + size) // run))
            position += size

    def _block_segment(self, segment: Segment, blocks: Axis) -> None:
        """Make equal runs of a segment move as the entries of `blocks` do."""
        group, count = segment.group, length(blocks)
        run = segment.size // count
        if self.resolve((segment,)) != (segment,):
            self.block((segment,), blocks)
        elif group is None:
            self.fix(blocks, reason="")
        elif count == 1:
            return  # the group moves inside one block, which stays in place
        elif segment.repeat % run == 0:
            self.merge(blocks, (Segment(group, count, segment.repeat // run),))
        elif run % segment.repeat == 0:
            self._put_in_blocks(group, blocks)
        else:
            self.fix((segment,), "joins blocks of other sizes")
            self.fix(blocks, reason="")

    def _put_in_blocks(self, group: str, blocks: Axis) -> None:
        """Nest blocks of different sizes in each other, or make them stay in place."""
        known = self._blocks.setdefault(group, blocks)
        one, other = length(known), length(blocks)
        if one == other:
            self.merge(known, blocks)
        elif one % other == 0:
            self.block(known, blocks)
        elif other % one == 0:
            self._blocks[group] = blocks
            self.block(blocks, known)
        else:
            self.fix((*known, *blocks), reason="")
            units = self._units[group]
            for border in range(units // other, units, units // other):
                self.cut((Segment(group, units),), border)

    def _follow_all(self) -> None:
        for group in list(self._order):
            self.resolve((Segment(group, self._units[group]),))

    def _follow_blocks(self, group: str) -> None:
        """Split a group whose blocks no longer move as the units of one other group."""
        blocks = self._blocks[group] = self.resolve(self._blocks[group])
        if len(blocks) == 1 and blocks[0].group is not None and blocks[0].repeat == 1:
            return
        del self._blocks[group]
        size, start, parts = self._units[group] // length(blocks), 0, []
        for segment in blocks:
            stop = start + segment.size * size
            if segment.group is None:
                parts += [self._part(group, at, at + size) for at in range(start, stop, size)]
            elif segment.repeat > 1:
                parts.append(scaled((segment,), size))
            else:
                parts.append(self._part(group, start, stop))
                self._blocks[str(parts[-1][0].group)] = (segment,)
            start = stop
        self._became[group] = tuple(segment for part in parts for segment in part)

    def _first(self, side: deque[Segment]) -> Segment:
        first, *rest = self.resolve([side.popleft()])
        side.extendleft(reversed(rest))
        return first

    def _parts(self, segment: Segment, at: int) -> Axis:
        if segment.group is None and at < segment.size:
            return (replace(segment, size=at), replace(segment, size=segment.size - at))
        return (segment,)

    def _cut_segment(self, segment: Segment, at: int) -> None:
        if segment.group is None:
            return
        group, units = segment.group, self._units[segment.group]
        borders = sorted({0, at // segment.repeat, -(-at // segment.repeat), units})
        if group in self._blocks:
            blocks = self._blocks[group]
            for border in borders[1:-1]:
                block, inside = divmod(border, units // length(blocks))
                self.take(blocks, block, block + (inside > 0))
            self.cut((segment,), at)
            return
        self._became[group] = tuple(
            part for start, stop in pairwise(borders) for part in self._part(group, start, stop)
        )

    def _part(self, group: str, start: int, stop: int) -> Axis:
        whole, offset = self._origin.get(group, (group, 0))
        if stop - start == 1:
            return self._pinned(group, 1, "parts a unit from the others")
        name = f"{whole}[{offset + start}:{offset + stop}]"
        self._origin[name] = (whole, offset + start)
        return self.new(name, stop - start, (*self._order[group], start))

    def _unify(self, one: Segment, other: Segment) -> None:
        """Make two free segments of equal size move together, in the larger of their blocks."""
        if one.group == other.group:
            return
        if one.group is None or other.group is None:
            self._stay(one, other)
            return
        if (one.repeat, self._rank(other.group)) < (other.repeat, self._rank(one.group)):
            one, other = other, one
        if one.repeat % other.repeat:
            self.fix((one, other), "joins blocks of other sizes")
            return
        assert one.group is not None
        assert other.group is not None
        follower = Segment(one.group, self._units[other.group], one.repeat // other.repeat)
        self._became[other.group] = (follower,)
        if other.group in self._blocks:
            self.block((follower,), self._blocks.pop(other.group))

    def _rank(self, group: str) -> tuple[bool, bool, tuple[int, ...]]:
        """Return what decides whose name two groups that move together take: that of the smaller one."""
        order, whole = self._order[group], self._origin.get(group, (group, 0))[0]
        return order[0] == COPIES, whole in self._unnamed, order

    def _stay(self, one: Segment, other: Segment) -> None:
        """Make a segment stay in place, because the other one does, for the same reason."""
        still_one, moving = (one, other) if one.group is None else (other, one)
        if moving.group is None:
            return
        if still_one.why in self.pinned:
            self._became[moving.group] = still(self._units[moving.group], still_one.why)
            self.fix(self._blocks.pop(moving.group, ()), reason="")
        else:
            self.fix((moving,), still_one.why or "joins them with what stays in place")
