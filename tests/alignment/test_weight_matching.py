from itertools import combinations, pairwise, product

import hypothesis
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from raysweep.alignment import weight_matching
from raysweep.alignment.weight_matching import objective
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.symmetry.spec import axis_index
from raysweep.training.loop import TrainingRun
from tests.conftest import STEPS, mlp, settings

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


@pytest.fixture(scope="module")
def five(digits):
    """Five trained networks: ten pairs."""
    states = []
    for seed in range(5):
        model = initialised(mlp(), "kaiming_normal", seed)
        TrainingRun(model, digits, settings(data_seed=seed)).advance(STEPS)
        states.append(model.state_dict())
    return states


def test_not_below_a_plain_converged_ascent(five):
    """The same order of the layers leads both to the same maximum."""
    for one, other in combinations(range(5), 2):
        plain = plain_ascent(five[one], five[other])
        found = weight_matching(SPEC, five[one], five[other], seed=0, order="forward")
        assert found.objective >= plain * (1 - 1e-6)


def test_float32_reaches_the_objective_of_float64(five):
    for one, other in combinations(range(5), 2):
        double = [{n: t.double() for n, t in five[member].items()} for member in (one, other)]
        narrow = weight_matching(SPEC, five[one], five[other], seed=one)
        wide = weight_matching(SPEC, *double, seed=one)
        assert narrow.objective == pytest.approx(wide.objective, rel=1e-6)


@pytest.mark.parametrize("config", [mlp(4), ModelConfig("lenet", 8, None, "none", (1, 8, 8), 10)])
def test_narrow_copies_are_recovered_where_the_plain_ascent_stops_early(config):
    spec = PermutationSpec.trace(build(config), torch.zeros(2, 1, 8, 8))
    for seed in range(16):
        state = initialised(config, "kaiming_normal", seed).state_dict()
        moved = spec.apply(spec.random(torch.Generator().manual_seed(seed)), state)
        restored = spec.apply(weight_matching(spec, state, moved, seed).permutation, moved)
        assert all(torch.equal(restored[name], state[name]) for name in state)


def test_units_of_almost_no_weight_are_recovered(trained):
    """Tolerances are finer than the smallest units matter; units without any weight may swap."""
    state = {name: tensor.clone() for name, tensor in trained[0].items()}
    first, bias, following = NAMES[:3]
    for unit, factor in ((0, 1e-4), (1, 1e-3), (2, 0.0), (3, 0.0)):
        state[first][unit] *= factor
        state[bias][unit] *= factor
        state[following][:, unit] *= factor
    moved = SPEC.apply(SPEC.random(torch.Generator().manual_seed(0)), state)
    restored = SPEC.apply(weight_matching(SPEC, state, moved, seed=0).permutation, moved)
    assert all(torch.equal(restored[name], state[name]) for name in NAMES)


def test_checkpoints_are_matched_by_the_sum_of_their_similarities(trained):
    found = weight_matching(SPEC, trained[:2], trained[1:], seed=0)
    total = sum(objective(a, SPEC.apply(found.permutation, b), NAMES) for a, b in pairwise(trained))
    assert found.objective == pytest.approx(total, rel=1e-12)
    twice = weight_matching(SPEC, [trained[0]] * 2, [trained[1]] * 2, seed=0)
    once = weight_matching(SPEC, trained[0], trained[1], seed=0)
    assert twice.permutation.to_lists() == once.permutation.to_lists()
    with pytest.raises(ValueError, match="2 target states and 1"):
        weight_matching(SPEC, trained[:2], trained[:1], seed=0)


def test_only_the_chosen_groups_move(trained):
    first, *others = SPEC.sizes
    start = SPEC.random(torch.Generator().manual_seed(0))
    for kernel in ("linear", "cosine"):
        found = weight_matching(
            SPEC, trained[0], trained[1], 0, kernel=kernel, start=start, groups=[first], restarts=2
        )
        for group in others:
            assert torch.equal(found.permutation.indices[group], start.indices[group])
        assert not torch.equal(found.permutation.indices[first], start.indices[first])
    with pytest.raises(ValueError, match="unknown group 'x'"):
        weight_matching(SPEC, trained[0], trained[1], 0, groups=["x"])


def cosine_objective(target, source):
    total = 0.0
    for group, size in SPEC.sizes.items():
        vectors = [
            torch.cat([state[n].double().movedim(d, 0).reshape(size, -1) for n, d in SPEC.uses(group)], dim=1)
            for state in (target, source)
        ]
        total += torch.cosine_similarity(*vectors, dim=1).sum().item()
    return total


def test_cosine_kernel_keeps_its_best_iterate(trained):
    found = weight_matching(SPEC, trained[0], trained[1], seed=0, kernel="cosine")
    aligned = SPEC.apply(found.permutation, trained[1])
    assert found.objective == pytest.approx(cosine_objective(trained[0], aligned), rel=1e-5)
    assert found.objective_identity == pytest.approx(cosine_objective(trained[0], trained[1]), rel=1e-4)
    assert found.objective > found.objective_identity
    scaled = {name: tensor * 3 for name, tensor in trained[1].items()}
    again = weight_matching(SPEC, trained[0], scaled, seed=0, kernel="cosine")
    assert again.permutation.to_lists() == found.permutation.to_lists()
    with pytest.raises(ValueError, match="linear, cosine"):
        weight_matching(SPEC, trained[0], trained[1], seed=0, kernel="rbf")


def test_cosine_kernel_recovers_a_permuted_copy(trained):
    moved = SPEC.apply(SPEC.random(torch.Generator().manual_seed(1)), trained[0])
    found = weight_matching(SPEC, trained[0], moved, seed=0, kernel="cosine")
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


@hypothesis.settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), groups=st.lists(st.sampled_from(list(SPEC.sizes)), max_size=8))
def test_no_step_lowers_the_objective_or_raises_the_distance(trained, seed, groups):
    """Whatever the start and the order of single groups."""
    at = SPEC.random(torch.Generator().manual_seed(seed))
    for group in groups:
        found = weight_matching(SPEC, trained[0], trained[1], seed=0, groups=[group], start=at)
        before, after = (SPEC.apply(p, trained[1]) for p in (at, found.permutation))
        assert objective(trained[0], after, NAMES) >= objective(trained[0], before, NAMES)
        distances = [
            sum((trained[0][n].double() - moved[n].double()).square().sum() for n in NAMES)
            for moved in (before, after)
        ]
        assert distances[1] <= distances[0] * (1 + 1e-12)
        at = found.permutation
