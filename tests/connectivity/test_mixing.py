"""Mixed risks agree with plain forward passes, whatever the network, and so do the layers taken for first."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from raysweep.connectivity import mixing, pair_grid, simplex_grid
from raysweep.connectivity.first_layers import FirstLayers
from raysweep.data.resident import Split
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork
from tests.conftest import mlp

CONFIGS = [mlp(), mlp(norm="layer"), mlp(norm="batch")] + [
    ModelConfig(model, 4, None, norm, (1, 8, 8), 10)
    for model in ("lenet", "vgg11", "resnet20")
    for norm in ("layer", "batch")
]


class Twice(nn.Module):
    """One layer is used twice; another sees the data through a shift that is a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.again, self.behind, self.first = nn.Linear(64, 64), nn.Linear(64, 10), nn.Linear(64, 10)
        self.shift = nn.Parameter(torch.zeros(64))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        data = images.flatten(1)
        hidden = self.again(self.again(data).relu())
        return self.behind((data + self.shift).relu()) + self.first(data) + hidden[:, :10]


class Steps(nn.Module):
    """Units that compare. A normalised weight, in which nothing is linear. A layer called by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.units, self.behind = nn.Linear(64, 8), nn.Linear(8, 10)
        self.normalised = nn.utils.parametrizations.weight_norm(nn.Linear(64, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        data = images.flatten(1)
        hidden = self.units(input=data)
        return self.behind(torch.where(hidden > 0, hidden, torch.zeros_like(hidden))) + self.normalised(data)


class Hooked(nn.Module):
    """A hook doubles what a layer answers; a normalised weight of the old kind is computed by another."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 10)
        self.first.register_forward_hook(lambda layer, given, answer: 2 * answer)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            self.normalised = nn.utils.weight_norm(nn.Linear(64, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.first(images.flatten(1)) + self.normalised(images.flatten(1)).relu()


class Gated(nn.Module):
    """A parameter decides what the first layer is given; beyond what NaN and noise reach."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.first = nn.Parameter(10 * torch.rand(())), nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        data = images.flatten(1)
        return self.first(data * 2 if self.gate > 5 else data).relu()


class Overwritten(nn.Module):
    """What the first layer is given is changed in place by a parameter, under the same name."""

    def __init__(self) -> None:
        super().__init__()
        self.shift, self.first = nn.Parameter(torch.randn(64)), nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        data = images.flatten(1) * 1.0
        data.add_(self.shift)
        return self.first(data)


class WrittenView(nn.Module):
    """A parameter is written into a view of what the first layer is given; another is given such a view."""

    def __init__(self) -> None:
        super().__init__()
        self.shift, self.first, self.other = nn.Parameter(torch.zeros(3)), nn.Linear(64, 10), nn.Linear(8, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        data = images.flatten(1).clone()
        begins = data[:, :8]
        data[:, :3].add_(self.shift)
        return self.first(data) + self.other(begins)


OWN = [Twice, Steps, Hooked, Gated, Overwritten, WrittenView]


def states_of(make, count):
    states = []
    for seed in range(count):
        torch.manual_seed(seed)
        states.append({n: t.clone() for n, t in make().state_dict().items()})
    return states


def plain(make, states, row, split):
    model = make().eval()
    mixed = {
        n: sum(w * s[n] for w, s in zip(row.tolist(), states, strict=True)) if t.is_floating_point() else t
        for n, t in states[0].items()
    }
    model.load_state_dict(mixed)
    with torch.no_grad():
        logits = model(split.images)
    loss = functional.cross_entropy(logits.double(), split.labels).item()
    return loss, (logits.argmax(1) != split.labels).double().mean().item()


@pytest.mark.parametrize("make", [*(lambda c=c: build(c) for c in CONFIGS), *OWN])
@pytest.mark.parametrize("grid", [pair_grid(3), pair_grid(13), simplex_grid(6)[[9, 11]]])
def test_risks_agree_with_plain_forward_passes(digits, make, grid, monkeypatch):
    monkeypatch.setattr(mixing, "EXAMPLES", 100)
    monkeypatch.setattr(mixing, "KEPT", 1)  # several blocks
    split, states = digits.test.first(250), states_of(make, grid.shape[1])
    network = FlatNetwork(make())
    found = mixing.mixed_risks(network, [network.flatten(s) for s in states], grid, split)
    for risk, row in zip(found, grid, strict=True):
        loss, error = plain(make, states, row, split)
        assert risk.loss == pytest.approx(loss, rel=1e-4)
        assert risk.error == pytest.approx(error, abs=1 / 250)


@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
@pytest.mark.parametrize("grid", [pair_grid(7), simplex_grid(6)])
def test_mixtures_that_share_a_pass_have_the_risks_that_each_has_alone(digits, norm, grid, monkeypatch):
    monkeypatch.setattr(mixing, "EXAMPLES", 100)
    split, states = digits.test.first(250), states_of(lambda: build(mlp(norm=norm)), grid.shape[1])
    network = FlatNetwork(build(mlp(norm=norm)))
    vectors = [network.flatten(state) for state in states]
    alone = mixing.mixed_risks(network, vectors, grid, split, points=1)
    for points in (2, 5, len(grid)):
        together = mixing.mixed_risks(network, vectors, grid, split, points)
        assert [r.error for r in together] == pytest.approx([r.error for r in alone], abs=1 / 250)
        assert [r.loss for r in together] == pytest.approx([r.loss for r in alone], rel=1e-5)


@pytest.mark.parametrize("width", [6, 64])
def test_the_quicker_way_has_the_bits_of_the_other(digits, width, monkeypatch):
    """Whichever it is on this machine; also with chunks of several sizes."""
    monkeypatch.setattr(mixing, "EXAMPLES", 100)
    states, grid = states_of(lambda: build(mlp(width)), 2), pair_grid(25)
    network = FlatNetwork(build(mlp(width)))
    vectors = [network.flatten(state) for state in states]
    split = digits.test.first(250)
    rule = mixing._points(network, FirstLayers(network, split.images[:2]), split, len(grid))
    assert rule > 1
    shared = mixing.mixed_risks(network, vectors, grid, split, rule)
    assert [mixing.mixed_risks(network, vectors, grid, split) for _ in range(2)] == [shared] * 2


def test_no_mixtures_have_no_risks(digits):
    network = FlatNetwork(build(mlp()))
    assert mixing.mixed_risks(network, [network.vector] * 2, pair_grid(3)[:0], digits.test) == []


def test_only_layers_of_the_data_are_first(digits):
    example = digits.test.images[:1]
    network = FlatNetwork(Twice())
    assert FirstLayers(network, example).layers == [network.model.first]
    network = FlatNetwork(build(ModelConfig("resnet20", 4, None, "batch", (1, 8, 8), 10)))
    (layer,) = FirstLayers(network, example).layers
    assert layer is next(m for m in network.model.modules() if isinstance(m, nn.Conv2d))


def test_layers_behind_comparisons_are_not_first(digits):
    network = FlatNetwork(Steps())
    assert FirstLayers(network, digits.test.images[:16]).layers == [network.model.units]


def test_where_hooks_or_parameters_may_change_an_input_no_layer_is_first(digits):
    for make in (Hooked, Gated, WrittenView):
        assert FirstLayers(FlatNetwork(make()), digits.test.images[:16]).layers == []


def test_first_layers_are_the_same_in_inference_mode(digits):
    with torch.inference_mode():
        images = digits.test.images[:16].clone()
        for make, names in ((Twice, ["first"]), (Overwritten, []), (WrittenView, [])):
            network = FlatNetwork(make())
            found = FirstLayers(network, images).layers
            assert found == [network.model.get_submodule(name) for name in names]


def test_a_forward_pass_takes_what_its_largest_layer_takes(digits):
    network = FlatNetwork(
        nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, 300), nn.Linear(300, 10))
    )
    first = FirstLayers(network, digits.test.images[:16])
    assert (first.layers, first.response_bytes) == ([], 0)
    assert (first.largest_bytes, first.logit_bytes) == (4 * 300, 4 * 10)


def test_the_layers_are_themselves_again_afterwards(digits):
    network = FlatNetwork(build(mlp()))
    vector = network.vector.clone()
    before = network.model(digits.test.images)
    mixing.mixed_risks(network, [vector, vector], pair_grid(3), Split(*vars(digits.test).values()))
    network.vector.copy_(vector)
    assert torch.equal(network.model(digits.test.images), before)
