from dataclasses import replace

import pytest
import torch
from torch import nn

from raysweep.digest import seed_for
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import as_constructed, initialise, initialised
from raysweep.models.registry import INITS, MODELS
from tests.networks import Kernel

CONFIG = ModelConfig("resnet20", 4, None, "batch", (3, 8, 8), 10)
VIT = ModelConfig("vit", 32, 1, "layer", (1, 8, 8), 10)


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("init", INITS)
def test_weights_depend_on_the_seed_alone(init):
    states = []
    for seed in (5, 5, 6):
        torch.rand(1)  # the global state does not matter
        states.append(initialised(CONFIG, init, seed).state_dict())
    assert equal(states[0], states[1])
    assert not equal(states[0], states[2])


def test_own_keeps_what_the_constructor_drew():
    drawn = build(CONFIG, seed=seed_for("initialisation", 5)).state_dict()
    assert equal(initialised(CONFIG, "own", 5).state_dict(), drawn)


@pytest.mark.parametrize("init", ["kaiming_normal", "pytorch"])
@pytest.mark.parametrize(
    "config", [ModelConfig("gpt", 32, 1, "layer", (64,), 80), VIT], ids=lambda c: c.model
)
def test_embeddings_are_independent_of_what_the_initialisation_draws(config, init):
    """From one seed both came from the same random numbers: position i and row i of the first query weight.

    So units of independent networks had something in common by their places, before any was permuted.
    """
    model = initialised(config, init, 0)
    position = model.positions.flatten()
    for name, parameter in model.named_parameters():
        drawn = parameter.flatten()
        if name != "positions" and len(drawn) >= 500 and drawn.std() > 0:
            for shift in range(
                0, 2 * config.width, config.width // 2
            ):  # a constructor may draw something before
                count = min(len(position), len(drawn) - shift)
                both = torch.stack([position[:count], drawn[shift : shift + count]])
                assert both.corrcoef()[0, 1].abs() < 5 / count**0.5, (name, shift)


def test_what_a_user_draws_from_a_generator_and_from_the_global_one_is_independent(tmp_path, monkeypatch):
    (tmp_path / "own_drawing.py").write_text(
        "import torch\n"
        "def init(model, generator):\n"
        "    with torch.no_grad():\n"
        "        model.weight.normal_(generator=generator)\n"
        "        model.bias.normal_()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    layer = nn.Linear(1, 1000)
    initialise(layer, "own_drawing:init", 0)
    assert torch.stack([layer.weight.flatten(), layer.bias]).corrcoef()[0, 1].abs() < 5 / 1000**0.5


@pytest.mark.parametrize("layer", [nn.Linear(40, 500), nn.Conv1d(8, 500, 5), nn.Conv2d(8, 500, (5, 1))])
def test_variances_follow_from_fan_in(layer):
    initialise(layer, "kaiming_normal", 0)
    assert layer.weight.std().item() == pytest.approx((2 / 40) ** 0.5, rel=0.03)
    assert not layer.bias.any()
    initialise(layer, "pytorch", 0)
    assert layer.weight.abs().max().item() == pytest.approx(40**-0.5, rel=0.01)
    assert layer.bias.abs().max().item() == pytest.approx(40**-0.5, rel=0.05)


@pytest.mark.parametrize("init", INITS)
def test_norms_start_at_one_and_zero(init):
    state = initialised(CONFIG, init, 0).state_dict()
    assert (state["norm.weight"] == 1).all()
    assert not state["norm.bias"].any()
    assert "conv.bias" not in state


def test_linear_layers_are_drawn_in_order_from_one_generator():
    config = ModelConfig("mlp", 4, 1, "layer", (1, 2, 2), 3)
    generator = torch.Generator().manual_seed(seed_for("initialisation", 7))
    expected = [torch.empty(4, 4), torch.empty(3, 4)]
    for weight in expected:
        nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
    model = initialised(config, "kaiming_normal", 7)
    assert torch.equal(model.layers[1].weight, expected[0])
    assert torch.equal(model.layers[4].weight, expected[1])


def test_unknown_init_is_refused():
    with pytest.raises(ValueError, match="valid choices: kaiming_normal, pytorch, own"):
        initialise(nn.Linear(2, 2), "zeros", 0)


def test_what_is_left_as_constructed_is_what_does_not_change():
    """And so are the vectors that no layer has as its bias."""
    model = Kernel((1, 2, 2), 3, 4)
    model.norm = nn.LayerNorm((2, 2))
    before = {name: p.clone() for name, p in model.named_parameters()}
    left = as_constructed(model, "pytorch")
    initialise(model, "pytorch", 0)
    same = {name for name, p in model.named_parameters() if torch.equal(p, before[name])}
    assert set(left) == {name for name in same if before[name].dim() > 1 and "norm." not in name}
    assert left == [
        "kernel",
        "normed.parametrizations.weight.original0",
        "normed.parametrizations.weight.original1",
    ]
    assert as_constructed(model, "own") == []
    embeddings = {"vit": ["positions"], "gpt": ["positions", "tokens.weight"]}
    for name, entry in MODELS.items():
        config = replace(CONFIG, model=name, shape=(5,) if entry.tokens else CONFIG.shape)
        assert as_constructed(build(config), "pytorch") == embeddings.get(name, [])
