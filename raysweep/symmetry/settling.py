"""The result of a trace, once all axes have been unified: axes in free groups, their sizes and blocks."""

from collections.abc import Mapping
from dataclasses import dataclass

from raysweep.symmetry.axes import Axis, Blocks, Grouped, Value, Within, length, scaled, segments
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
    weight alone have them along axis 1; otherwise they keep their order.
    """
    while True:
        _tie(groups)
        outer = groups.blocks()
        values = {name: tuple(map(groups.resolve, value)) for name, value in stored.items()}
        ordered = [each for each in groups.grouped if not _free_inside(groups, each, outer, values)]
        if not ordered:
            break
        for each in ordered:
            groups.fix(each.features, reason="")
            groups.merge(each.incoming, scaled(each.blocks, length(each.features)))
            groups.grouped.remove(each)
    within = {_sole(groups, each.features): each for each in groups.grouped}
    axes = {name: _axes(groups, value, within) for name, value in values.items()}
    used = {s.group for value in axes.values() for axis in value for s in segments(axis)}
    units = groups.sizes()
    sizes = {name: size for name, size in units.items() if name in used}
    members: dict[str, list[str]] = {}
    for name in sizes:
        members.setdefault(outer.get(name, name), []).append(name)
    blocks = (Blocks(units[one], tuple(names)) for one, names in members.items() if names != [one])
    return Symmetries(axes, sizes, tuple(blocks))


def _tie(groups: Groups) -> None:
    """Unify the inputs of convolutions that share a weight."""
    first: dict[str, Grouped] = {}
    for each in groups.grouped:
        group = _sole(groups, each.features)
        one = first.setdefault(group, each) if group else each
        if length(one.incoming) == length(each.incoming):
            groups.merge(one.incoming, each.incoming)


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


def _axes(groups: Groups, value: Value, within: Mapping[str | None, Grouped]) -> Axes:
    return tuple(_axis(groups, axis, within) for axis in value)


def _axis(groups: Groups, axis: Axis, within: Mapping[str | None, Grouped]) -> Axis | Within | None:
    conv = within.get(_sole(groups, axis))
    if conv is not None:
        incoming, size = groups.resolve(conv.incoming), length(axis)
        free = any(s.group is not None and s.repeat % size for s in incoming)
        return Within(incoming, length(incoming) // size) if free else None
    return axis if any(segment.group is not None for segment in axis) else None
