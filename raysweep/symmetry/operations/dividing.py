"""Axes that a reshape has divided: the axis of their blocks, and what they are where nothing more is
known."""

from raysweep.symmetry.axes import Axis, Divided, Part, Repeated, Segment, length, scaled, still
from raysweep.symmetry.groups import Groups


def heads_of(groups: Groups, whole: Divided) -> Axis:
    """Return the axis of the runs of an axis that is divided in two; the entries inside each run stay
    free."""
    if whole.heads is None:
        whole.heads = groups.new(f"{name_of(groups, whole.axis)}.blocks", whole.sizes[0])
        groups.block(whole.axis, whole.heads)
    return whole.heads


def repeated(groups: Groups, whole: Divided, times: int) -> Divided:
    """Return an axis divided in two whose runs are repeated, each so many times in a row.

    They are heads that share units: the heads move inside blocks, in which the units of a run are the same.
    """
    count, units = whole.sizes
    name, heads = name_of(groups, whole.axis), count * times
    found = Repeated(
        groups.unnamed(f"{name}.shared", heads * units),
        groups.new(f"{name}.heads", heads),
        whole.axis,
        heads_of(groups, whole),
        groups.operation,
    )
    groups.block(found.heads, found.blocks)
    groups.repeated.append(found)
    return Divided(found.entries, (heads, units), found.heads)


def undivided(groups: Groups, whole: Divided) -> list[Axis]:
    """Return the axes into which an axis is divided.

    Of two, both may move: the runs as a whole, and the entries alike in all runs. The inner ones of more stay
    in place.
    """
    if len(whole.sizes) == 2 and whole.heads is None and moves(groups, whole.axis):
        name, (count, size) = name_of(groups, whole.axis), whole.sizes
        outer, inner = groups.new(f"{name}.blocks", count), groups.unnamed(f"{name}.units", size)
        groups.repeated.append(Repeated(whole.axis, outer, inner, still(1), groups.operation))
        return [outer, inner]
    axes, rest = [], whole.axis
    for size in whole.sizes[:-1]:
        outer, rest = divide(groups, rest, size)
        axes.append(outer)
    if whole.heads is not None:
        groups.merge(whole.heads, axes[0])
    return [*axes, rest]


def divide(groups: Groups, axis: Axis, count: int) -> tuple[Axis, Axis]:
    """Divide an axis into `count` equal runs: the axis of the runs, and the axis within a run."""
    simple = simply_divided(groups, axis, count)
    if simple is not None:
        return simple
    inner = length(axis) // count
    outer = groups.new(f"{name_of(groups, axis)}.blocks", count)
    groups.merge(axis, scaled(outer, inner))
    return outer, still(inner)


def simply_divided(groups: Groups, axis: Axis, count: int) -> tuple[Axis, Axis] | None:
    """Divide an axis where this ties no entries to each other; None where it does."""
    axis = groups.resolve(axis)
    inner = length(axis) // count
    if not moves(groups, axis):
        return still(count, axis[0].why), still(inner, axis[0].why)
    if all(s.size % inner == 0 and (s.group is None or s.repeat % inner == 0) for s in axis):
        return tuple(Segment(s.group, s.size // inner, max(1, s.repeat // inner)) for s in axis), still(inner)
    run = axis[: len(axis) // count]
    return (still(count), run) if run * count == axis else None


def moves(groups: Groups, axis: Axis) -> bool:
    """Whether an entry of an axis moves."""
    return isinstance(axis, Part) or any(segment.group is not None for segment in groups.resolve(axis))


def name_of(groups: Groups, axis: Axis) -> str:
    """Return the name of the first group along an axis."""
    return next((s.group for s in groups.resolve(axis) if s.group is not None), "units")
