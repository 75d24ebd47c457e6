"""REPAIR of hidden units, against its definition."""

import numpy as np
import pytest
import torch
from torch import nn

from raysweep.connectivity import Mending, barrier, barrier_of, curve, curve_of, pair_grid, simplex_grid
from raysweep.connectivity.folding import mixed_state
from raysweep.connectivity.mixtures import Mixtures
from raysweep.errors import SpecError, UserError
from raysweep.merging import merge
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork
from raysweep.plan.probes import check_statistics
from raysweep.symmetry import PermutationSpec
from raysweep.symmetry.tracing import trace_hidden_layers
from raysweep.training.evaluation import evaluate
from tests.conftest import mlp
from tests.connectivity.test_one_measure import random_state
from tests.networks import Recurrent

CONFIGS = [mlp(12), mlp(12, norm="layer"), mlp(12, norm="batch")]
CONFIGS += [ModelConfig("lenet", 2, None, norm, (1, 8, 8), 10) for norm in ("none", "batch")]


class Functional(nn.Module):
    """Layers as functions of parameters, a residual connection, and units along the last of three axes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.randn(6, 8)), nn.Linear(6, 6)
        self.head = nn.Linear(48, 10)

    def forward(self, images):
        hidden = nn.functional.linear(images.squeeze(1), self.first).tanh()
        return self.head((hidden + self.second(hidden).relu()).flatten(1))


def states_of(model, count):
    return [random_state(model, seed) for seed in range(count)]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("grid", [pair_grid(5), simplex_grid(6)], ids=len)
def test_a_network_against_itself_has_no_barrier(digits, config, grid):
    model, split = build(config), digits.test.first(100)
    (state,) = states_of(model, 1)
    line = curve_of(
        model, [state] * grid.shape[1], split.images, split.labels, grid, repair=digits.train.images
    )
    model.load_state_dict(state)
    alone = evaluate(model.eval(), split)
    assert {*line.loss, *(end.loss for end in line.ends)} == {alone.loss}
    assert {*line.error} == {alone.error}


def moments(network, layers, images):
    """The mean and standard deviation of the outputs of modules, by hooks; units are along axis 1."""
    found = {}

    def note(layer, _, output):
        found[layer] = output.transpose(1, -1).flatten(0, -2).clone()  # ReLU works in place

    hooks = [layer.register_forward_hook(note) for layer in layers]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return [torch.stack([found[layer].mean(0), found[layer].std(0, correction=0)]) for layer in layers]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_hidden_units_get_the_interpolated_moments(digits, config):
    """Measured behind the rescaling layers; the images fill one chunk."""
    network, images = FlatNetwork(build(config)), digits.train.images[:500]
    vectors = [network.flatten(state) for state in states_of(network.model, 2)]
    layers = [m for m in network.model.modules() if isinstance(m, nn.Linear | nn.Conv2d)][:-1]
    own = []
    for vector in vectors:
        network.vector.copy_(vector)
        own.append(moments(network.model, layers, images))
    module = Mixtures(network, vectors, Mending(repair=images)).form(np.array([1.0, 0.25]))
    rescaling = [getattr(module, f"rescale_{number}") for number in range(len(layers))]
    for found, a, b in zip(moments(module, rescaling, images), *own, strict=True):
        torch.testing.assert_close(found, torch.lerp(a, b, 0.25), rtol=1e-4, atol=1e-4)


def test_it_agrees_with_a_network_corrected_by_hand(digits):
    """Layer after layer: the units of a layer are corrected before those of the next are measured."""
    a, b = states_of(build(mlp(12)), 2)
    images, split = digits.train.images[:500], digits.test
    line = curve_of(build(mlp(12)), [a, b], split.images, split.labels, pair_grid(3), repair=images)
    model = build(mlp(12)).eval()
    linear = [m for m in model.modules() if isinstance(m, nn.Linear)][:-1]
    targets = []
    for state in (a, b):
        model.load_state_dict(state)
        targets.append(moments(model, linear, images))
    model.load_state_dict({name: (a[name] + b[name]) / 2 for name in a})
    for number, layer in enumerate(linear):
        (own,) = moments(model, [layer], images)
        target = (targets[0][number] + targets[1][number]) / 2
        scale = target[1] / own[1]
        with torch.no_grad():
            layer.weight.mul_(scale[:, None])
            layer.bias.copy_((layer.bias - own[0]) * scale + target[0])
    assert line.loss[1] == pytest.approx(evaluate(model, split).loss, rel=1e-4)


@pytest.mark.parametrize("make", [lambda: build(mlp(12)), Functional], ids=["mlp", "functional"])
def test_permuting_all_networks_alike_changes_nothing(digits, make):
    torch.manual_seed(0)
    model, images, split = make(), digits.train.images[:1500], digits.test
    spec = PermutationSpec.trace(model, images[:2])
    a, b = states_of(model, 2)
    moved = spec.random(torch.Generator().manual_seed(1))
    plain = curve_of(model, [a, b], split.images, split.labels, pair_grid(3), repair=images)
    states = [spec.apply(moved, state) for state in (a, b)]
    again = curve_of(model, states, split.images, split.labels, pair_grid(3), repair=images)
    np.testing.assert_allclose(again.loss, plain.loss, rtol=1e-4)


def test_it_lowers_the_barrier_of_networks_without_batchnorm(digits, trained):
    """The finding of Jordan et al.: a mixture's units vary too little, and its logits are too small."""
    network = FlatNetwork(build(mlp()))
    plain = barrier(curve(network, trained[:2], pair_grid(5), digits.test))
    repaired = barrier(
        curve(network, trained[:2], pair_grid(5), digits.test, Mending(repair=digits.train.images))
    )
    assert repaired.loss_centre < 0.8 * plain.loss_centre


def test_dead_units_divide_by_nothing(digits):
    """A unit without incoming weights is constant in both networks, and in one network alone."""
    model, split = build(mlp(12)), digits.test
    a, b = states_of(model, 2)
    name = next(name for name in a if name.endswith("weight"))
    a[name][:2], b[name][:1] = 0, 0
    line = curve_of(model, [a, b], split.images, split.labels, pair_grid(3), repair=digits.train.images)
    assert np.isfinite(line.loss).all()


class Products(nn.Module):
    """A layer of hidden units that is computed by a function of values (examples, 64), weight and bias."""

    def __init__(self, layer) -> None:
        super().__init__()
        self.layer, self.transposed = layer, nn.Parameter(torch.randn(64, 12))
        self.bias, self.head = nn.Parameter(torch.randn(12)), nn.Linear(12, 10)

    def forward(self, images):
        return self.head(self.layer(images.flatten(1), self.transposed, self.bias).relu())


PRODUCTS = {
    "addmm": lambda x, w, b: torch.addmm(b, x, w),
    "matmul": lambda x, w, b: x @ w + b,
    "transposed": lambda x, w, b: torch.mm(x, w.t().contiguous().t()) + b,
    "left": lambda x, w, b: (w.t() @ x[:, :, None])[..., 0] + b,
    "einsum": lambda x, w, b: torch.einsum("io,...i->...o", w, x) + b,
}


@pytest.mark.parametrize("layer", PRODUCTS.values(), ids=list(PRODUCTS))
def test_products_with_weights_are_repaired_as_linear_layers_are(digits, layer):
    found = []
    for each in (lambda x, w, b: nn.functional.linear(x, w.t(), b), layer):
        model, split = Products(each), digits.test.first(200)
        line = curve_of(
            model, states_of(model, 2), split.images, split.labels, pair_grid(3), repair=split.images
        )
        found.append(line.loss)
    np.testing.assert_allclose(*found, rtol=1e-4)


def test_what_a_product_computes_is_folded_into_its_parameters(digits):
    model, images = Products(PRODUCTS["addmm"]), digits.train.images[:500]
    states = states_of(model, 2)
    model.load_state_dict(mixed_state(model, states, np.array([0.5, 0.5]), Mending(repair=images)))
    line = curve_of(model, states, *vars(digits.test).values(), pair_grid(3), repair=images)
    assert evaluate(model, digits.test).loss == pytest.approx(line.loss[1], rel=1e-4)


def test_a_network_without_such_a_layer_is_refused():
    model = nn.Sequential(nn.Embedding(5, 8), nn.Flatten(), nn.Linear(24, 3))
    with pytest.raises(
        SpecError, match=r"no linear layer, convolution or product .* computes the units of 0.weight@1"
    ):
        trace_hidden_layers(model, torch.zeros(2, 3, dtype=torch.int64))


def test_either_recompute_or_repair(digits):
    model, split = build(mlp(12)), digits.test
    a, b = states_of(model, 2)
    with pytest.raises(ValueError, match="give either recompute or repair"):
        barrier_of(model, [a, b], *vars(split).values(), recompute=split.images, repair=split.images)


def test_units_that_no_layer_computes_are_not_said_to_be_repaired(digits):
    networks = [Recurrent((1, 8, 8), 10, 4) for _ in range(2)]
    images, labels = digits.test.images.view(-1, 1, 8, 8), digits.test.labels
    for call in (
        lambda: barrier_of(networks[0], networks, images, labels, repair=images),
        lambda: merge(networks, images, labels, repair=True),
    ):
        with pytest.raises(SpecError, match=r"^no linear layer, .* computes the units of rows\.weight_ih"):
            call()
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))  # without hidden units nothing is to repair
    assert barrier_of(linear, [linear, linear], images, labels, repair=images).loss_barrier < 1e-6


def test_a_plan_refuses_to_repair_what_cannot_be_repaired():
    config = ModelConfig("tests.networks:recurrent", 4, None, "none", (1, 8, 8), 10)
    check_statistics(config, ("kept", "recomputed"))
    with pytest.raises(UserError, match=r"\[kept, repaired\]: tests.networks:recurrent: no linear layer"):
        check_statistics(config, ("kept", "repaired"))
