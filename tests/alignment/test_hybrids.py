import pytest
import torch

from raysweep.alignment import hybrid
from raysweep.models.build import build
from raysweep.symmetry import Permutation, PermutationSpec
from tests.conftest import mlp
from tests.symmetry.checks import as_lists

SPEC = PermutationSpec.trace(build(mlp()), torch.zeros(2, 1, 8, 8))
FIRST, SECOND, THIRD = SPEC.sizes


def test_groups_come_from_the_named_permutation():
    generator = torch.Generator().manual_seed(0)
    early, late = SPEC.random(generator), SPEC.random(generator)
    mixed = hybrid(early, late, [SECOND])
    assert torch.equal(mixed.indices[SECOND], early.indices[SECOND])
    assert all(torch.equal(mixed.indices[group], late.indices[group]) for group in (FIRST, THIRD))
    assert as_lists(hybrid(early, late, [])) == as_lists(late)
    assert as_lists(hybrid(early, late, SPEC.sizes)) == as_lists(early)


def test_errors():
    identity = Permutation.identity(SPEC.sizes)
    with pytest.raises(ValueError, match="unknown groups"):
        hybrid(identity, identity, ["x"])
    with pytest.raises(ValueError, match="mixed"):
        hybrid(identity, Permutation.identity({"x": 2}), [])
