import pytest
import torch

from raysweep.alignment import bottom_up, hybrid, one_in, one_out, top_down
from raysweep.models.build import build
from raysweep.symmetry import Permutation, PermutationSpec
from tests.conftest import mlp

SPEC = PermutationSpec.trace(build(mlp()), torch.zeros(2, 1, 8, 8))
FIRST, SECOND, THIRD = SPEC.sizes


def test_groups_come_from_the_named_permutation():
    generator = torch.Generator().manual_seed(0)
    early, late = SPEC.random(generator), SPEC.random(generator)
    mixed = hybrid(early, late, [SECOND])
    assert torch.equal(mixed.indices[SECOND], early.indices[SECOND])
    assert all(torch.equal(mixed.indices[group], late.indices[group]) for group in (FIRST, THIRD))
    assert hybrid(early, late, []).to_lists() == late.to_lists()
    assert hybrid(early, late, SPEC.sizes).to_lists() == early.to_lists()


def test_lists_of_groups():
    assert [bottom_up(SPEC, k) for k in range(4)] == [[], [FIRST], [FIRST, SECOND], [FIRST, SECOND, THIRD]]
    assert [top_down(SPEC, k) for k in range(4)] == [[], [THIRD], [SECOND, THIRD], [FIRST, SECOND, THIRD]]
    assert (one_in(SPEC, 1), one_out(SPEC, 1)) == ([SECOND], [FIRST, THIRD])


def test_errors():
    identity = Permutation.identity(SPEC.sizes)
    with pytest.raises(ValueError, match="unknown groups"):
        hybrid(identity, identity, ["x"])
    with pytest.raises(ValueError, match="mixed"):
        hybrid(identity, Permutation.identity({"x": 2}), [])
    with pytest.raises(ValueError, match="between 0 and 3"):
        bottom_up(SPEC, 4)
    with pytest.raises(ValueError, match="between 0 and 2"):
        one_out(SPEC, 3)
