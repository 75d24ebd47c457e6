import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.symmetry import Permutation
from raysweep.symmetry.groups import Groups, Segment, length, scaled, still
from raysweep.symmetry.selection import axis_index


def random_axis(draw, groups, size, known):
    """An axis of new and known groups and of entries that stay in place."""
    axis = ()
    while (left := size - length(axis)) > 0:
        repeat = draw(st.sampled_from([r for r in (1, 2, 3, 4) if r <= left]))
        units = draw(st.integers(1, left // repeat))
        fitting = [a for a in known if length(a) * repeat <= left]
        kind = draw(st.sampled_from(["new", "still", "known"] if fitting else ["new", "still"]))
        if kind == "still":
            part = still(units * repeat)
        elif kind == "known":
            part = scaled(draw(st.sampled_from(fitting)), repeat)
        else:
            known.append(groups.new("group", units))
            part = scaled(known[-1], repeat)
        axis += part
    return axis


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_merged_axes_move_together(data):
    groups, known, pairs = Groups(), [], []
    for _ in range(data.draw(st.integers(1, 4))):
        size = data.draw(st.integers(1, 24))
        left, right = (random_axis(data.draw, groups, size, known) for _ in range(2))
        groups.merge(left, right)
        pairs.append((left, right))
    permutation = Permutation.random(groups.sizes(), torch.Generator().manual_seed(0))
    for left, right in pairs:
        left, right = groups.resolve(left), groups.resolve(right)
        index = axis_index(left, permutation)
        assert torch.equal(index, axis_index(right, permutation))
        assert torch.equal(index.sort().values, torch.arange(length(left)))


@given(st.data())
@settings(deadline=None, max_examples=100)
def test_taking_an_axis_apart_leaves_its_parts(data):
    groups = Groups()
    axis = random_axis(data.draw, groups, 20, [])
    start = data.draw(st.integers(0, 20))
    parts = [groups.take(axis, 0, start), groups.take(axis, start, 20)]
    assert [length(part) for part in parts] == [start, 20 - start]
    permutation = Permutation.random(groups.sizes(), torch.Generator().manual_seed(0))
    index = axis_index(groups.resolve(axis), permutation)
    assert torch.equal(axis_index(groups.resolve(parts[0] + parts[1]), permutation), index)
    assert (index[:start] < start).all()


def merged(build):
    groups = Groups()
    build(groups)
    return groups.sizes()


def test_older_names_stay():
    assert merged(lambda g: g.merge(g.new("a", 4), g.new("b", 4))) == {"a": 4}
    assert merged(lambda g: g.merge(g.copies("a", 4), g.new("b", 4))) == {"b": 4}


def test_unlike_cuts_split_groups_where_both_have_a_border():
    def build(groups):
        groups.merge(groups.new("a", 6) + groups.new("b", 4), groups.new("c", 2) + groups.new("d", 8))

    assert merged(build) == {"a[0:2]": 2, "a[2:6]": 4, "b": 4}


def test_only_what_meets_a_fixed_entry_is_fixed():
    assert merged(lambda g: g.merge(g.new("a", 6), g.new("b", 4) + still(2))) == {"a[0:4]": 4}


def test_groups_move_in_the_larger_of_two_blocks():
    groups = Groups()
    fine, coarse = groups.new("fine", 12), groups.new("coarse", 4)
    groups.merge(fine, scaled(coarse, 3))
    assert groups.sizes() == {"coarse": 4}
    assert groups.resolve(fine) == (Segment("coarse", 12, 3),)
    assert merged(lambda g: g.merge(scaled(g.new("two", 6), 2), scaled(g.new("three", 4), 3))) == {}


def test_a_unit_across_a_border_stays_in_place():
    groups = Groups()
    axis = scaled(groups.new("a", 4), 3)
    groups.cut(axis, 4)
    assert groups.sizes() == {"a[2:4]": 2}
    assert groups.resolve(axis) == (Segment(None, 6), Segment("a[2:4]", 6, 3))


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="lengths 3 and 4"):
        Groups().merge(still(3), still(4))
