import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.symmetry import Permutation
from raysweep.symmetry.axes import Segment, length, scaled, still
from raysweep.symmetry.blocks import block_index
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.selection import selection


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


@pytest.mark.slow
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
        index = selection(left, permutation.indices)
        assert torch.equal(index, selection(right, permutation.indices))
        assert torch.equal(index.sort().values, torch.arange(length(left)))


def random_permutation(groups, seed):
    """Of all free groups, those in blocks moving as the units of the groups after which they move."""
    outer, sizes = groups.blocks(), groups.sizes()
    generator = torch.Generator().manual_seed(seed)
    indices = {name: torch.randperm(size, generator=generator) for name, size in sizes.items()}
    for name, other in outer.items():
        assert other not in outer
        units = sizes[name] // sizes[other]
        inside = torch.stack([torch.randperm(units, generator=generator) for _ in range(sizes[other])])
        indices[name] = block_index(indices[other], inside)
    return Permutation(indices)


@pytest.mark.slow
@given(st.data())
@settings(deadline=None, max_examples=300)
def test_runs_move_as_the_entries_of_their_blocks_and_merged_axes_together(data):
    groups, known, pairs, blocked, fixed = Groups(), [], [], [], []
    for _ in range(data.draw(st.integers(1, 5))):
        size, count = data.draw(st.integers(1, 6)), data.draw(st.integers(2, 4))
        match data.draw(st.sampled_from(["merge", "block", "block", "fix", "cut"])):
            case "merge":
                pairs.append([random_axis(data.draw, groups, size * count, known) for _ in range(2)])
                groups.merge(*pairs[-1])
            case "block":
                axis, blocks = (random_axis(data.draw, groups, n, known) for n in (size * count, count))
                blocked.append((axis, blocks))
                groups.block(axis, blocks)
            case "fix" if known:
                fixed.append(data.draw(st.sampled_from(known)))
                groups.fix(fixed[-1])
            case "cut" if known:
                groups.cut(data.draw(st.sampled_from(known)), size)
    permutation = random_permutation(groups, 0)
    for left, right in pairs:
        index = selection(groups.resolve(left), permutation.indices)
        assert torch.equal(index, selection(groups.resolve(right), permutation.indices))
        assert torch.equal(index.sort().values, torch.arange(length(left)))
    for axis, blocks in blocked:
        index, order = (selection(groups.resolve(each), permutation.indices) for each in (axis, blocks))
        run = length(axis) // length(blocks)
        assert torch.equal(index.view(-1, run) // run, order[:, None].expand(-1, run))
    for axis in fixed:
        assert torch.equal(selection(groups.resolve(axis), permutation.indices), torch.arange(length(axis)))


def test_units_are_free_inside_blocks_that_move_together():
    groups = Groups()
    one, other, blocks = groups.new("one", 12), groups.new("other", 6), groups.new("blocks", 3)
    groups.block(one, blocks)
    groups.block(other, blocks)
    assert groups.blocks() == {"one": "blocks", "other": "blocks"}
    groups.cut(one, 4)
    assert groups.sizes() == {
        "one[0:4]": 4,
        "one[4:12]": 8,
        "other[0:2]": 2,
        "other[2:6]": 4,
        "blocks[1:3]": 2,
    }
    assert groups.blocks() == {"one[4:12]": "blocks[1:3]", "other[2:6]": "blocks[1:3]"}
    groups.fix(groups.take(other, 2, 4))
    assert groups.blocks() == {}
    assert groups.sizes() == {"one[0:4]": 4, "one[4:8]": 4, "one[8:12]": 4, "other[0:2]": 2, "other[4:6]": 2}


def test_of_blocks_in_blocks_the_outer_ones_stay():
    groups = Groups()
    axis = groups.new("a", 12)
    groups.block(axis, groups.new("six", 6))
    groups.block(axis, groups.new("two", 2))
    assert groups.blocks() == {"a[0:6]": "six[0:3]", "a[6:12]": "six[3:6]"}


@given(st.data())
@settings(deadline=None, max_examples=100)
def test_taking_an_axis_apart_leaves_its_parts(data):
    groups = Groups()
    axis = random_axis(data.draw, groups, 20, [])
    start = data.draw(st.integers(0, 20))
    parts = [groups.take(axis, 0, start), groups.take(axis, start, 20)]
    assert [length(part) for part in parts] == [start, 20 - start]
    permutation = Permutation.random(groups.sizes(), torch.Generator().manual_seed(0))
    index = selection(groups.resolve(axis), permutation.indices)
    assert torch.equal(selection(groups.resolve(parts[0] + parts[1]), permutation.indices), index)
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
