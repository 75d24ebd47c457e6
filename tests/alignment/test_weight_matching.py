import torch
from scipy.optimize import linear_sum_assignment

from raysweep.alignment import weight_matching
from raysweep.alignment.weight_matching import objective
from raysweep.models.build import build
from raysweep.symmetry import PermutationSpec
from raysweep.symmetry.spec import axis_index
from tests.conftest import mlp

SPEC = PermutationSpec.trace(build(mlp()), torch.zeros(2, 1, 8, 8))
NAMES = list(SPEC.axes)


def test_known_permutation_is_recovered_bitwise(trained):
    for seed in range(5):
        moved = SPEC.apply(SPEC.random(torch.Generator().manual_seed(seed)), trained[0])
        found = weight_matching(SPEC, trained[0], moved, seed=seed)
        restored = SPEC.apply(found.permutation, moved)
        assert all(torch.equal(restored[name], trained[0][name]) for name in NAMES)


def test_objective_is_the_true_one_and_never_falls(trained):
    found = weight_matching(SPEC, trained[0], trained[1], seed=0)
    aligned = SPEC.apply(found.permutation, trained[1])
    assert found.objective == objective(trained[0], aligned, NAMES)
    assert found.objective >= found.objective_identity


def test_no_single_layer_improves_the_end(trained):
    """Brute force: the similarity of a unit pair is the objective of a network with only that pair."""
    found = weight_matching(SPEC, trained[0], trained[1], seed=0)
    aligned = SPEC.apply(found.permutation, trained[1])
    for group, size in SPEC.sizes.items():
        similarity = torch.zeros(size, size, dtype=torch.float64)
        for name, axis in SPEC.uses(group):
            left = trained[0][name].double().movedim(axis, 0).reshape(size, -1)
            right = aligned[name].double().movedim(axis, 0).reshape(size, -1)
            similarity += left @ right.T
        rows, columns = linear_sum_assignment(similarity.numpy(), maximize=True)
        gain = similarity.numpy()[rows, columns].sum() - similarity.trace().item()
        assert gain <= 1e-6 * found.objective


def test_inverse_undoes(trained):
    permutation = SPEC.random(torch.Generator().manual_seed(3))
    back = SPEC.apply(permutation.inverse(), SPEC.apply(permutation, trained[0]))
    assert all(torch.equal(back[name], trained[0][name]) for name in NAMES)
    assert axis_index(SPEC.axes[NAMES[0]][0], permutation).shape == (16,)
