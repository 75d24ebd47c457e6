import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.symmetry import Permutation
from tests.symmetry.checks import as_lists

SIZES = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 20))


def drawn(sizes, seed, count):
    generator = torch.Generator().manual_seed(seed)
    return [Permutation.random(sizes, generator) for _ in range(count)]


@settings(max_examples=25)
@given(SIZES, st.integers(0, 2**31))
def test_group_laws(sizes, seed):
    one, two, last = drawn(sizes, seed, 3)
    identity = Permutation.identity(sizes)
    assert as_lists(one.compose(two.compose(last))) == as_lists(one.compose(two).compose(last))
    assert as_lists(one.compose(one.inverse())) == as_lists(one.inverse().compose(one)) == as_lists(identity)
    assert as_lists(one.compose(identity)) == as_lists(identity.compose(one)) == as_lists(one)
    assert as_lists(one.compose(two).inverse()) == as_lists(two.inverse().compose(one.inverse()))
    assert identity.fixed_points() == dict.fromkeys(sizes, 1.0)


@settings(max_examples=25)
@given(SIZES, st.integers(0, 2**31))
def test_agreement_counts_equal_indices(sizes, seed):
    one, other = drawn(sizes, seed, 2)
    for group, share in one.agreement(other).items():
        assert share == (one.indices[group] == other.indices[group]).double().mean().item()


def test_what_is_no_permutation_is_refused():
    with pytest.raises(ValueError, match="group a"):
        Permutation({"a": torch.tensor([0, 0])})
    with pytest.raises(ValueError, match="composed"):
        Permutation.identity({"a": 1}).agreement(Permutation.identity({"b": 1}))


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
