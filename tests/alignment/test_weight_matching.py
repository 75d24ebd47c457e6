from itertools import permutations, product

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from raysweep.alignment import weight_matching
from raysweep.alignment.weight_matching import objective
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import Permutation, PermutationSpec
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


MODELS = list(product(("lenet", "vgg11", "vgg16", "resnet20"), ("none", "layer", "batch")))


@pytest.mark.parametrize(("model", "norm"), MODELS)
@pytest.mark.parametrize("order", ["random", "forward", "backward"])
def test_every_model_is_recovered_bitwise(model, norm, order):
    """Buffers too, though they are never matched."""
    config = ModelConfig(model, 4, None, norm, (1, 8, 8), 10)
    spec = PermutationSpec.trace(build(config), torch.zeros(2, 1, 8, 8))
    generator = torch.Generator().manual_seed(7)
    state = {
        name: tensor + 0.1 * torch.randn(tensor.shape, generator=generator) if tensor.dim() else tensor
        for name, tensor in initialised(config, "pytorch", 0).state_dict().items()
    }
    moved = spec.apply(spec.random(generator), state)
    found = weight_matching(spec, state, moved, seed=0, order=order)
    restored = spec.apply(found.permutation, moved)
    assert all(torch.equal(restored[name], state[name]) for name in state)


def test_restarts_and_starts_keep_the_best(trained):
    once = weight_matching(SPEC, trained[0], trained[1], seed=0)
    several = weight_matching(SPEC, trained[0], trained[1], seed=0, restarts=4)
    assert several.objective >= once.objective
    assert several.iterations > once.iterations
    again = weight_matching(SPEC, trained[0], trained[1], seed=5, start=once.permutation)
    assert again.objective >= once.objective * (1 - 1e-12)


def test_biases_can_be_left_out(trained):
    shifted = {n: t + 100 * torch.arange(len(t)) if t.dim() == 1 else t for n, t in trained[1].items()}
    without = weight_matching(SPEC, trained[0], shifted, seed=0, biases=False)
    same = weight_matching(SPEC, trained[0], trained[1], seed=0, biases=False)
    assert without.objective == same.objective
    moved = SPEC.apply(without.permutation, trained[1])
    assert any(not torch.equal(moved[n], trained[1][n]) for n in NAMES if trained[1][n].dim() == 1)
    with pytest.raises(ValueError, match="random, forward, backward"):
        weight_matching(SPEC, trained[0], trained[1], seed=0, order="upward")


def plain_ascent(target, source):
    """The algorithm written plainly: full sweeps in float64 until no layer changes the objective."""
    source = {name: tensor.double() for name, tensor in source.items()}
    target = {name: tensor.double() for name, tensor in target.items()}
    moved, reached = dict(source), objective(target, source, NAMES)
    while True:
        before = reached
        for group, size in SPEC.sizes.items():
            similarity = torch.zeros(size, size, dtype=torch.float64)
            for name, axis in SPEC.uses(group):
                left = target[name].movedim(axis, 0).reshape(size, -1)
                similarity += left @ moved[name].movedim(axis, 0).reshape(size, -1).T
            _, columns = linear_sum_assignment(similarity.numpy(), maximize=True)
            step = Permutation({**Permutation.identity(SPEC.sizes).indices, group: torch.from_numpy(columns)})
            moved = SPEC.apply(step, moved)
        reached = objective(target, moved, NAMES)
        if reached <= before * (1 + 1e-12):
            return reached


def test_not_below_a_plain_converged_ascent(trained):
    """The same order of the layers leads both to the same maximum."""
    for one, other in permutations(range(3), 2):
        plain = plain_ascent(trained[one], trained[other])
        found = weight_matching(SPEC, trained[one], trained[other], seed=0, order="forward")
        assert found.objective >= plain * (1 - 1e-6)


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
