from itertools import combinations, pairwise, product

import hypothesis
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from raysweep.alignment import (
    frank_wolfe,
    joint_matching,
    monomial_matching,
    orthogonal_matching,
    weight_matching,
)
from raysweep.alignment.ascent import ORDERS
from raysweep.alignment.weight_matching import objective
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.models.registry import MODELS as MODEL_NAMES
from raysweep.models.registry import NORMS
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.symmetry.selection import selection
from raysweep.training.loop import TrainingRun
from tests.conftest import mlp, settings
from tests.symmetry.checks import as_lists, parameters_of

SPEC = PermutationSpec.trace(build(mlp()), torch.zeros(2, 1, 8, 8))
NAMES = list(SPEC.axes)


def test_known_permutation_is_recovered_bitwise(trained):
    for seed in range(5):
        moved = SPEC.apply(SPEC.random(torch.Generator().manual_seed(seed)), trained[0])
        found = weight_matching(SPEC, trained[0], moved, seed=seed)
        restored = SPEC.apply(found.permutation, moved)
        assert all(torch.equal(restored[name], trained[0][name]) for name in NAMES)


MODELS = list(product(MODEL_NAMES, NORMS))


@pytest.mark.parametrize(("model", "norm"), MODELS)
def test_every_model_is_recovered_bitwise(model, norm):
    """Buffers too, though they are never matched; each order of the layers once for every model."""
    shape = (5,) if MODEL_NAMES[model].tokens else (1, 8, 8)
    config = ModelConfig(model, 4, None, norm, shape, 10)
    order = tuple(ORDERS)[list(NORMS).index(norm)]
    spec = PermutationSpec.trace(build(config), torch.zeros(2, *shape))
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


def test_every_layer_of_aligned_networks_is_solved_once_by_each_pass():
    """Those of the linear kernel are the ascent and the forward pass; without restarts there are no more."""
    state = initialised(mlp(), "pytorch", 0).state_dict()
    found = {kernel: weight_matching(SPEC, state, state, 0, kernel=kernel) for kernel in ("linear", "cosine")}
    assert found["linear"].iterations == 2 * len(SPEC.sizes)
    assert found["cosine"].iterations == len(SPEC.sizes)


def test_biases_can_be_left_out(trained):
    shifted = {n: t + 100 * torch.arange(len(t)) if t.dim() == 1 else t for n, t in trained[1].items()}
    without = weight_matching(SPEC, trained[0], shifted, seed=0, biases=False)
    same = weight_matching(SPEC, trained[0], trained[1], seed=0, biases=False)
    assert without.objective == same.objective
    moved = SPEC.apply(without.permutation, trained[1])
    assert any(not torch.equal(moved[n], trained[1][n]) for n in NAMES if trained[1][n].dim() == 1)
    with pytest.raises(ValueError, match="random, forward, backward"):
        weight_matching(SPEC, trained[0], trained[1], seed=0, order="upward")


def similarity_of(spec, group, target, source):
    """Entry (i, j): the inner product of all weights of unit i of one and unit j of the other."""
    size = spec.sizes[group]
    similarity = torch.zeros(size, size, dtype=torch.float64)
    for name, axis in parameters_of(spec, group):
        left = target[name].double().movedim(axis, 0).reshape(size, -1)
        similarity += left @ source[name].double().movedim(axis, 0).reshape(size, -1).T
    return similarity.numpy()


def plain_ascent(spec, target, source, order):
    """The algorithm written plainly: full sweeps in float64 until no layer changes the objective."""
    generator, groups = torch.Generator().manual_seed(0), list(spec.sizes)
    moved, reached = dict(source), objective(target, source, matched(spec))
    while True:
        before = reached
        places = torch.randperm(len(groups), generator=generator).tolist()
        for group in [groups[p] for p in places] if order == "random" else groups:
            _, columns = linear_sum_assignment(similarity_of(spec, group, target, moved), maximize=True)
            step = Permutation({**Permutation.identity(spec.sizes).indices, group: torch.from_numpy(columns)})
            moved = spec.apply(step, moved)
        reached = objective(target, moved, matched(spec))
        if reached <= before * (1 + 1e-12):
            return reached


def matched(spec):
    return [name for name in spec.axes if name not in spec.buffers]


CONFIGS = [
    mlp(),
    mlp(64),
    ModelConfig("lenet", 4, None, "none", (1, 8, 8), 10),
    ModelConfig("resnet20", 3, None, "layer", (1, 8, 8), 10),
]


@pytest.fixture(scope="module", params=CONFIGS, ids=lambda config: f"{config.model}-{config.width}")
def three(request, digits):
    """A spec and three trained networks: three pairs."""
    states = []
    for seed in range(3):
        model = initialised(request.param, "kaiming_normal", seed)
        TrainingRun(model, digits, settings(data_seed=seed)).advance(12)
        states.append(model.state_dict())
    return PermutationSpec.trace(build(request.param), torch.zeros(2, 1, 8, 8)), states


@pytest.mark.parametrize("order", ["random", "forward"])
def test_not_below_a_plain_converged_ascent(three, order):
    """The same order of the layers leads both to the same maximum."""
    spec, states = three
    for one, other in combinations(states, 2):
        found = weight_matching(spec, one, other, seed=0, order=order)
        assert found.objective >= plain_ascent(spec, one, other, order) * (1 - 1e-6)


def test_float32_reaches_the_objective_of_float64(three):
    spec, states = three
    for seed, pair in enumerate(combinations(states, 2)):
        narrow = weight_matching(spec, *pair, seed=seed)
        wide = weight_matching(spec, *({n: t.double() for n, t in s.items()} for s in pair), seed=seed)
        assert narrow.objective == pytest.approx(wide.objective, rel=1e-6)


def test_no_single_layer_improves_the_end(three):
    """Brute force: no assignment of one group, by similarities in float64, is above what was reached."""
    spec, states = three
    for one, other in combinations(states, 2):
        found = weight_matching(spec, one, other, seed=0)
        aligned = spec.apply(found.permutation, other)
        for group in spec.sizes:
            similarity = similarity_of(spec, group, one, aligned)
            rows, columns = linear_sum_assignment(similarity, maximize=True)
            assert similarity[rows, columns].sum() - similarity.trace() <= 1e-9 * found.objective


def pruned(state, spec, share):
    """The state without the smallest weights, a share of all; vectors stay."""
    names = [name for name in spec.axes if state[name].dim() > 1]
    every = torch.cat([state[name].abs().flatten() for name in names])
    least = every.kthvalue(int(share * len(every))).values
    return {n: t * (t.abs() > least) if n in names else t for n, t in state.items()}


@pytest.mark.parametrize("share", [0.9, 0.98, 0.99])
@pytest.mark.parametrize(
    ("config", "init"),
    [
        (mlp(), "kaiming_normal"),
        (mlp(64), "pytorch"),
        (ModelConfig("lenet", 8, None, "none", (1, 8, 8), 10), "pytorch"),
        (ModelConfig("resnet20", 6, None, "layer", (1, 8, 8), 10), "pytorch"),
        (ModelConfig("vgg11", 6, None, "batch", (1, 8, 8), 10), "kaiming_normal"),
    ],
)
def test_pruned_copies_are_recovered(config, init, share):
    """Whole units lose their incoming weights; what comes after them tells them apart."""
    spec = PermutationSpec.trace(build(config), torch.zeros(2, 1, 8, 8))
    for seed in range(2):
        state = pruned(initialised(config, init, seed).state_dict(), spec, share)
        moved = spec.apply(spec.random(torch.Generator().manual_seed(seed)), state)
        restored = spec.apply(weight_matching(spec, state, moved, seed).permutation, moved)
        assert all(torch.equal(restored[name], state[name]) for name in state)


def test_trained_and_pruned_copies_are_recovered(trained):
    """At the sparsities of iterative pruning by a fifth, to its twentieth level."""
    for level, state in product(range(2, 21, 3), trained):
        sparse = pruned(state, SPEC, 1 - 0.8**level)
        moved = SPEC.apply(SPEC.random(torch.Generator().manual_seed(level)), sparse)
        restored = SPEC.apply(weight_matching(SPEC, sparse, moved, level).permutation, moved)
        assert all(torch.equal(restored[name], sparse[name]) for name in NAMES)


@pytest.mark.parametrize("config", [mlp(4), ModelConfig("lenet", 8, None, "none", (1, 8, 8), 10)])
def test_narrow_copies_are_recovered_where_the_plain_ascent_stops_early(config):
    spec = PermutationSpec.trace(build(config), torch.zeros(2, 1, 8, 8))
    for seed in range(8):
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
    assert as_lists(twice.permutation) == as_lists(once.permutation)
    with pytest.raises(ValueError, match="2 target states, but 1 source states"):
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
        uses = parameters_of(SPEC, group)
        vectors = [
            torch.cat([state[n].double().movedim(d, 0).reshape(size, -1) for n, d in uses], dim=1)
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
    assert as_lists(again.permutation) == as_lists(found.permutation)
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


def test_inverse_undoes(trained):
    permutation = SPEC.random(torch.Generator().manual_seed(3))
    back = SPEC.apply(permutation.inverse(), SPEC.apply(permutation, trained[0]))
    assert all(torch.equal(back[name], trained[0][name]) for name in NAMES)
    assert selection(SPEC.axes[NAMES[0]][0], permutation.indices).shape == (16,)


@hypothesis.settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**31), places=st.lists(st.integers(0, 11), max_size=8))
def test_no_step_lowers_the_objective_or_raises_the_distance(three, seed, places):
    """Whatever the start and the order of single groups."""
    spec, (one, other, _) = three
    names, groups = matched(spec), list(spec.sizes)
    at = spec.random(torch.Generator().manual_seed(seed))
    for place in places:
        group = groups[place % len(groups)]
        found = weight_matching(spec, one, other, seed=0, groups=[group], start=at)
        before, after = (spec.apply(p, other) for p in (at, found.permutation))
        assert objective(one, after, names) >= objective(one, before, names)
        distances = [
            sum((one[n].double() - moved[n].double()).square().sum() for n in names)
            for moved in (before, after)
        ]
        assert distances[1] <= distances[0] * (1 + 1e-12)
        at = found.permutation


def test_what_does_not_fit_is_refused(trained):
    narrow = initialised(mlp(8), "pytorch", 0).state_dict()
    with pytest.raises(ValueError, match=r"tensor layers\.1\.weight: expected 16 entries along axis 0"):
        weight_matching(SPEC, trained[0], narrow, seed=0)
    with pytest.raises(ValueError, match=r"no tensor layers\.1\.bias"):
        weight_matching(
            SPEC, {n: t for n, t in trained[0].items() if n != "layers.1.bias"}, trained[1], seed=0
        )
    start = Permutation.identity({**SPEC.sizes, "layers.3": 8})
    with pytest.raises(ValueError, match=r"group layers\.3 has 8 units in the permutation and 16"):
        weight_matching(SPEC, trained[0], trained[1], seed=0, start=start)


@pytest.mark.parametrize(
    ("states", "options", "error"),
    [
        (1, {"restarts": 0}, "restarts must be at least 1, not 0"),
        (2, {}, "1 target states, but 2 source states"),
        (1, {"groups": ["layers.1", "layer"]}, "unknown group 'layer'; valid: "),
        (1, {"kernel": "square"}, "unknown kernel 'square'; valid: linear, cosine"),
        (1, {"order": "upward"}, "unknown order 'upward'; valid: random, forward, backward"),
    ],
)
def test_options_that_make_no_sense_are_refused(trained, states, options, error):
    with pytest.raises(ValueError, match=error):
        weight_matching(SPEC, trained[:1], trained[:states], seed=0, **options)


class Quantised(torch.nn.Module):
    """Bytes as weights, each row of which has a scale."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randint(-99, 99, (16, 6), generator=generator, dtype=torch.int8)
        self.bytes = torch.nn.Parameter(drawn, requires_grad=False)
        self.scales = torch.nn.Parameter(torch.rand(16, generator=generator))
        self.last = torch.nn.Parameter(torch.randn(3, 16, generator=generator))

    def forward(self, inputs):
        hidden = inputs @ (self.bytes.to(inputs.dtype) * self.scales[:, None]).T
        return hidden.relu() @ self.last.T


@pytest.mark.parametrize(
    "match",
    [
        lambda *given: weight_matching(*given).permutation,
        lambda *given: monomial_matching(*given).permutation,
        lambda *given: orthogonal_matching(*given).permutation,
        lambda spec, *states: frank_wolfe(spec, states)[1],
        lambda spec, *states: joint_matching(spec, [states[0], *states]).permutations[2],
    ],
)
def test_weights_in_bytes_are_matched_as_numbers(match):
    model = Quantised(0)
    spec = PermutationSpec.trace(model, torch.zeros(2, 6), proved=False)
    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    moved = spec.apply(spec.random(torch.Generator().manual_seed(0)), state)
    found = spec.apply(match(spec, state, moved), moved)
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())
    assert found["bytes"].dtype == torch.int8
    with pytest.raises(ValueError, match=r"tensor last: its numbers are complex \(torch.complex64\)"):
        match(spec, *({**each, "last": each["last"].to(torch.complex64)} for each in (state, moved)))
