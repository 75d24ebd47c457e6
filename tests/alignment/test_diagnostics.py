import pytest
import torch

from raysweep.alignment import joint_matching, joint_similarities, layer_similarities, weight_matching
from raysweep.models.build import build
from raysweep.symmetry import Permutation, PermutationSpec
from tests.conftest import mlp

SPEC = PermutationSpec.trace(build(mlp()), torch.zeros(2, 1, 8, 8))


def test_layers_add_up_to_the_objective(trained):
    found = weight_matching(SPEC, trained[0], trained[1], seed=0)
    rows = layer_similarities(SPEC, trained[0], trained[1], found.permutation)
    assert [row.parameter for row in rows] == list(SPEC.axes)
    assert sum(row.before for row in rows) == pytest.approx(found.objective_identity)
    assert sum(row.after for row in rows) == pytest.approx(found.objective)
    moved = SPEC.apply(found.permutation, trained[1])
    for row in rows:
        difference = moved[row.parameter] - trained[1][row.parameter]
        assert row.displacement == pytest.approx(difference.norm().item(), rel=1e-5)
    assert rows[-1].fixed_points is None  # the output's units do not move


def test_the_identity_moves_nothing(trained):
    rows = layer_similarities(SPEC, trained[0], trained[1], Permutation.identity(SPEC.sizes))
    assert all(row.displacement == 0 and row.before == row.after for row in rows)
    assert {row.fixed_points for row in rows} == {1.0, None}


def test_several_networks_add_up_to_what_was_maximised(trained):
    joint = joint_matching(SPEC, trained, seed=0)
    rows = joint_similarities(SPEC, trained, joint.permutations)
    assert sum(row.before for row in rows) == pytest.approx(joint.objective_identity)
    assert sum(row.after for row in rows) == pytest.approx(joint.objective)
    stacked = weight_matching(SPEC, trained[:2], trained[1:], seed=0)
    rows = layer_similarities(SPEC, trained[:2], trained[1:], stacked.permutation)
    assert sum(row.before for row in rows) == pytest.approx(stacked.objective_identity)
    assert sum(row.after for row in rows) == pytest.approx(stacked.objective)
