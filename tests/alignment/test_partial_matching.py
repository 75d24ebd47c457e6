"""Weight matching of some kinds of units: these are recovered exactly, and no others move."""

import pytest
import torch

from raysweep.alignment import (
    branch_matching,
    inner_matching,
    joint_branch_matching,
    joint_inner_matching,
    joint_matching,
)
from raysweep.symmetry import Kind, Permutation, PermutationSpec
from tests.symmetry.transformers import VisionTransformer

MODEL = VisionTransformer()
SPEC = PermutationSpec.trace(MODEL, torch.zeros(2, 3, 8, 8), proved=False)
INNER = {Kind.INNER: inner_matching, Kind.BLOCKS: branch_matching}
JOINT = {Kind.INNER: joint_inner_matching, Kind.BLOCKS: joint_branch_matching}
CASES = pytest.mark.parametrize(
    "kinds", [(Kind.INNER,), (Kind.INNER, Kind.BLOCKS)], ids=["inner", "branches"]
)


def drawn(kinds, seed):
    """A random permutation of the groups of these kinds."""
    found = SPEC.random(torch.Generator().manual_seed(seed)).indices
    still = Permutation.identity(SPEC.sizes).indices
    return Permutation({g: (found if SPEC.kind(g) in kinds else still)[g] for g in SPEC.sizes})


@CASES
def test_a_permutation_of_these_units_is_recovered(kinds):
    state, permutation = MODEL.state_dict(), drawn(kinds, 1)
    found = INNER[kinds[-1]](SPEC, state, SPEC.apply(permutation, state)).permutation
    for group, index in found.compose(permutation).indices.items():
        assert torch.equal(index, torch.arange(len(index))), group


@CASES
def test_all_other_units_stay(kinds):
    one, other = VisionTransformer().state_dict(), VisionTransformer().state_dict()
    single = INNER[kinds[-1]](SPEC, one, other).permutation
    together = JOINT[kinds[-1]](SPEC, [one, other, MODEL.state_dict()]).permutations
    assert single.moving()
    for permutation in (single, *together):
        assert {SPEC.kind(group) for group in permutation.moving()} <= set(kinds)


def test_restarts_begin_with_all_other_units_in_place():
    networks = [VisionTransformer().state_dict() for _ in range(2)]
    inner = [group for group in SPEC.sizes if SPEC.kind(group) == Kind.INNER]
    for permutation in joint_matching(SPEC, networks, restarts=2, groups=inner).permutations:
        assert set(permutation.moving()) <= set(inner)
