import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raysweep.symmetry import Permutation

SIZES = st.dictionaries(st.text(max_size=5), st.integers(1, 9), max_size=4)


@st.composite
def permutations(draw, count):
    sizes = draw(SIZES)
    return [
        Permutation.from_lists({group: draw(st.permutations(range(size))) for group, size in sizes.items()})
        for _ in range(count)
    ]


@pytest.mark.slow
@given(permutations(3))
def test_group_laws(three):
    one, two, last = three
    identity = Permutation.identity(one.sizes())
    assert one.compose(two.compose(last)).to_lists() == one.compose(two).compose(last).to_lists()
    assert (
        one.compose(one.inverse()).to_lists() == one.inverse().compose(one).to_lists() == identity.to_lists()
    )
    assert one.compose(identity).to_lists() == identity.compose(one).to_lists() == one.to_lists()
    assert one.compose(two).inverse().to_lists() == two.inverse().compose(one.inverse()).to_lists()


@given(permutations(1))
def test_serialisation_round_trip(single):
    (one,) = single
    back = Permutation.from_lists(json.loads(json.dumps(one.to_lists())))
    assert back.to_lists() == one.to_lists()
    assert all(index.dtype == torch.int64 for index in back.indices.values())


@given(permutations(2))
def test_agreement_counts_equal_indices(two):
    one, other = two
    for group, share in one.agreement(other).items():
        assert share == (one.indices[group] == other.indices[group]).double().mean().item()


def test_what_is_no_permutation_is_refused():
    with pytest.raises(ValueError, match="group a"):
        Permutation.from_lists({"a": [0, 0]})
    with pytest.raises(ValueError, match="composed"):
        Permutation.from_lists({"a": [0]}).agreement(Permutation.from_lists({"b": [0]}))


def test_without_units_all_of_them_stay():
    nothing = Permutation({})
    assert nothing.share_of_fixed_points() == 1.0
    assert nothing.share_of_fixed_points(nothing) == 1.0


def test_shares_count_units_and_not_groups():
    one = Permutation(
        {"a": torch.tensor([0, 2, 1, 3, 4]), "b": torch.tensor([1, 0, 2]), "c": torch.tensor([0])}
    )
    assert one.fixed_points() == pytest.approx({"a": 3 / 5, "b": 1 / 3, "c": 1})
    assert one.share_of_fixed_points() == pytest.approx(5 / 9)
    assert one.share_of_fixed_points(Permutation({**one.indices, "c": torch.tensor([0])})) == 1
    assert one.moving() == {"a", "b"}
