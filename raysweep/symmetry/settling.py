"""The result of a trace, once all axes have been unified: axes in free groups, their sizes and blocks."""

from collections.abc import Mapping
from dataclasses import dataclass

from raysweep.symmetry.axes import (
    Axis,
    Blocks,
    Grouped,
    Repeated,
    Shared,
    Value,
    Within,
    groups_of,
    length,
    scaled,
)
from raysweep.symmetry.groups import Groups

Axes = tuple[Axis | Within | None, ...]  # of a parameter or buffer; None where an axis stays in place


@dataclass(frozen=True)
class Symmetries:
    """The axes of each parameter and buffer, the number of units of each group, and the groups in blocks."""

    axes: dict[str, Axes]
    sizes: dict[str, int]
    blocks: tuple[Blocks, ...]


def settled(groups: Groups, stored: Mapping[str, Value]) -> Symmetries:
    """Express the axes of `stored` tensors in free groups.

    The input units of a grouped convolution are free inside their blocks where tensors of the form of its
    weight alone have them along axis 1; otherwise they keep their order. So do units that heads share, where
    these do not move as a whole (see `_are_shared`).
    """
    while True:
        _tie(groups)
        outer = groups.blocks()
        values = {name: tuple(map(groups.resolve, value)) for name, value in stored.items()}
        ordered = [each for each in groups.grouped if not _free_inside(groups, each, outer, values)]
        apart = [each for each in groups.repeated if not _are_shared(groups, each, outer, values)]
        if not ordered and not apart:
            break
        for shared in apart:
            _keep_order(groups, shared)
        for each in ordered:
            groups.fix(each.features, reason="")
            groups.merge(each.incoming, scaled(each.blocks, length(each.features)))
            groups.grouped.remove(each)
    within = {_sole(groups, each.features): each for each in groups.grouped}
    heads = {str(_sole(groups, each.entries)): _shared(groups, each) for each in groups.repeated}
    axes = {
        name: tuple(_axis(groups, axis, within, heads) for axis in value) for name, value in values.items()
    }
    used = {group for value in axes.values() for axis in value for group in groups_of(axis)}
    units = groups.sizes()
    sizes = {name: size for name, size in units.items() if name in used}
    members: dict[str, list[str]] = {}
    for name in sizes:
        members.setdefault(outer.get(name, name), []).append(name)
    blocks = (Blocks(units[one], tuple(names)) for one, names in members.items() if names != [one])
    return Symmetries(axes, sizes, tuple(blocks))


def _tie(groups: Groups) -> None:
    """Unify the inputs of convolutions that share a weight, and heads and units of the same entries."""
    same: dict[str, Repeated] = {}
    for repeated in groups.repeated:
        group = _sole(groups, repeated.entries)
        other = same.setdefault(group, repeated) if group else repeated
        for ours, theirs in zip(_parts(repeated), _parts(other), strict=True):
            if length(ours) == length(theirs):
                groups.merge(ours, theirs)
    first: dict[str, Grouped] = {}
    for each in groups.grouped:
        group = _sole(groups, each.features)
        one = first.setdefault(group, each) if group else each
        if length(one.incoming) == length(each.incoming):
            groups.merge(one.incoming, each.incoming)


def _parts(each: Repeated) -> tuple[Axis, Axis, Axis]:
    return each.heads, each.units, each.blocks


def _are_shared(
    groups: Groups, each: Repeated, outer: Mapping[str, str], values: Mapping[str, Value]
) -> bool:
    """Whether heads that share units move as a whole, and with each their own entries alone."""
    entries, heads, units = (_sole(groups, axis) for axis in (each.entries, each.heads, each.units))
    if entries is None or heads is None or units is None or entries in {*outer, *outer.values()}:
        return False
    blocks = _sole(groups, each.blocks)
    if length(each.blocks) > 1 and (blocks is None or {outer.get(heads), outer.get(units)} != {blocks}):
        return False
    for other in groups.repeated:
        if _sole(groups, other.entries) == entries and length(other.heads) != length(each.heads):
            return False
    whole = [axis for value in values.values() for axis in value]
    inside = [axis for conv in groups.grouped for axis in (conv.incoming, conv.channels, conv.features)]
    inside += [axis for other in groups.repeated for axis in (other.heads, other.units)]
    return not any(s.group == entries and s.repeat > 1 for axis in whole for s in axis) and not any(
        _has(groups.resolve(axis), entries) for axis in inside
    )


def _keep_order(groups: Groups, each: Repeated) -> None:
    """Let whole heads move, with the shared units in their order; or these, where no head moves."""
    groups.repeated.remove(each)
    groups.operation, groups.own = each.operation, set()
    heads, blocks = length(each.heads), length(each.blocks)
    size = length(each.entries) // heads
    if any(segment.group is not None for segment in groups.resolve(each.heads)):
        groups.merge(each.entries, scaled(each.heads, size))
        if blocks == 1:
            groups.fix(each.units)
        groups.merge(each.units, scaled(each.blocks, size))
    else:
        runs = [groups.take(each.units, at * size, (at + 1) * size) for at in range(blocks)]
        groups.merge(each.entries, tuple(s for run in runs for s in run * (heads // blocks)))


def _shared(groups: Groups, each: Repeated) -> Shared:
    """Return the entries of heads that share units as a segment."""
    heads, units = (_sole(groups, axis) for axis in (each.heads, each.units))
    return Shared(
        units,
        length(each.entries),
        heads=str(heads),
        count=length(each.heads),
        blocks=length(each.blocks),
    )


def _free_inside(
    groups: Groups, conv: Grouped, outer: Mapping[str, str], values: Mapping[str, Value]
) -> bool:
    """Whether each row of a grouped convolution's weight may be reordered separately along axis 1."""
    features, rows = groups.resolve(conv.features), groups.resolve(conv.channels)
    group, incoming = _sole(groups, features), groups.resolve(conv.incoming)
    if group is None or group in outer or group in outer.values():
        return False
    having = [value for value in values.values() if any(_has(axis, group) for axis in value)]
    others = [each for each in groups.grouped if _sole(groups, each.features) == group]
    return all(
        value[:2] == (rows, features) and not any(_has(axis, group) for axis in value[2:]) for value in having
    ) and all(groups.resolve(each.incoming) == incoming for each in others)


def _sole(groups: Groups, axis: Axis) -> str | None:
    """Return the group that makes up an axis, if there is only one."""
    resolved = groups.resolve(axis)
    return resolved[0].group if len(resolved) == 1 and resolved[0].repeat == 1 else None


def _has(axis: Axis, group: str) -> bool:
    return any(segment.group == group for segment in axis)


def _axis(
    groups: Groups, axis: Axis, within: Mapping[str | None, Grouped], shared: Mapping[str, Shared]
) -> Axis | Within | None:
    conv = within.get(_sole(groups, axis))
    if conv is not None:
        incoming, size = groups.resolve(conv.incoming), length(axis)
        free = any(s.group is not None and s.repeat % size for s in incoming)
        return Within(incoming, length(incoming) // size) if free else None
    if all(segment.group is None for segment in axis):
        return None
    return tuple(shared.get(str(segment.group), segment) for segment in axis)
