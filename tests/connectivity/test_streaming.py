"""Mixtures evaluated as on a GPU, one after the other, have the risks of a plain curve; here on a CPU."""

import numpy as np
import pytest
import torch
from torch import nn

from raysweep.connectivity import Mending, barrier, curve, mixing, pair_grid, risk, simplex_grid, streaming
from raysweep.connectivity.mixtures import Mixtures
from raysweep.connectivity.streaming import streamed_risks
from raysweep.data.resident import Split
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork
from raysweep.models.initialise import initialised
from raysweep.models.precision import FLOAT32, Numerics
from raysweep.training import repeated_evaluation
from tests.conftest import mlp
from tests.pretended_device import DEVICE, pretended_device

CONFIGS = [mlp(norm="batch"), ModelConfig("vgg11", 4, None, "layer", (1, 8, 8), 10)]
BFLOAT16 = Numerics("bfloat16")


def networks(config, count, numerics=FLOAT32):
    """A network of the architecture, and the states of several."""
    states = [initialised(config, "kaiming_normal", seed).state_dict() for seed in range(count)]
    return FlatNetwork(build(config), numerics, config), states


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("grid", [pair_grid(5), simplex_grid(6)[::5]], ids=len)
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_they_have_the_risks_of_a_plain_curve(digits, config, grid, recompute):
    training = Mending(digits.train.images[:200] if recompute else None)
    network, states = networks(config, grid.shape[1])
    plain = curve(network, states, grid, digits.test, training)
    vectors = [network.flatten(state) for state in states]
    found = streamed_risks(network, Mixtures(network, vectors, training), grid, digits.test)
    assert [each.loss for each in found] == pytest.approx(plain.loss, rel=1e-5)
    assert [each.error for each in found] == pytest.approx(plain.error, abs=1 / len(digits.test))


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("grid", [pair_grid(7), simplex_grid(6)[::5]], ids=len)
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_network_against_itself_has_no_barrier(digits, config, grid, recompute):
    training = Mending(digits.train.images[:200] if recompute else None)
    network, (state,) = networks(config, 1, BFLOAT16)
    line = curve(network, [state] * grid.shape[1], grid, digits.test, training)
    alone = risk(network, state, digits.test, training)
    assert {*line.loss} == {end.loss for end in line.ends} == {alone.loss}
    found = barrier(line)
    assert [found.loss_barrier, found.error_barrier, found.loss_centre] == [0, 0, 0]


def test_bfloat16_moves_a_barrier_only_a_little(digits, trained):
    grid = pair_grid(9)
    exact, rounded = (
        barrier(curve(FlatNetwork(build(mlp()), numerics), trained[:2], grid, digits.test))
        for numerics in (FLOAT32, BFLOAT16)
    )
    assert rounded != exact
    assert rounded.loss_barrier == pytest.approx(exact.loss_barrier, abs=0.01)
    assert rounded.error_barrier == pytest.approx(exact.error_barrier, abs=0.01)


def test_other_images_and_old_ones_are_told_apart(digits):
    """More splits than are kept, each twice."""
    network, states = networks(mlp(), 1)
    vectors, alone = [network.flatten(states[0])], np.ones((1, 1))
    splits = [digits.test.first(examples) for examples in range(10, 11 + streaming.MOST)]
    for split in splits * 2:
        (found,) = streamed_risks(network, Mixtures(network, vectors), alone, split)
        (plain,) = mixing.mixed_risks(network, vectors, alone, split)
        assert found.loss == pytest.approx(plain.loss, rel=1e-5)
        assert found.error == plain.error


def test_no_mixtures_have_no_risks(digits):
    network, states = networks(mlp(), 2)
    vectors = [network.flatten(state) for state in states]
    assert streamed_risks(network, Mixtures(network, vectors), pair_grid(3)[:0], digits.test) == []


def test_a_line_may_go_past_its_ends(digits):
    network, states = networks(mlp(), 2)
    vectors = [network.flatten(state) for state in states]
    (found,) = streamed_risks(network, Mixtures(network, vectors), np.array([[-0.5, 1.5]]), digits.test)
    past = {name: torch.lerp(states[0][name], states[1][name], 1.5) for name in states[0]}
    assert found.loss == pytest.approx(risk(network, past, digits.test).loss, rel=1e-4)


def test_the_processor_waits_once_for_a_line(digits, monkeypatch):
    """However many points it has; the first line also compares its evaluation with a plain one."""
    monkeypatch.setitem(repeated_evaluation.ROOM, DEVICE, 2**23)
    states = [initialised(mlp(), "kaiming_normal", seed).state_dict() for seed in range(2)]
    alone = FlatNetwork(build(mlp()))
    vectors = [alone.flatten(state) for state in states]
    plain = mixing.mixed_risks(alone, vectors, pair_grid(9), digits.test, points=1)
    with pretended_device() as waits:
        network = FlatNetwork(placed(build(mlp()), {}))
        placed(network.model, network.views(network.vector))  # `data` is not what this device computes with
        split = Split(*(each.to(DEVICE) for each in vars(digits.test).values()))
        for points in (3, 5, 9):
            line = mixtures(network, states, points)
            waits.clear()
            found = streamed_risks(*line, split)
            assert points == 3 or waits == {"copy to cpu": 1}
    assert [each.loss for each in found] == pytest.approx([each.loss for each in plain], rel=1e-5)


def mixtures(network, states, points):
    return network, Mixtures(network, [network.flatten(state) for state in states]), pair_grid(points)


def placed(model, tensors):
    """The model with its parameters on the pretended device, some of which are given."""
    for layer_name, layer in model.named_modules():
        for name, parameter in layer._parameters.items():
            given = tensors.get(f"{layer_name}.{name}")
            layer._parameters[name] = nn.Parameter(parameter.data.to(DEVICE)) if given is None else given
    return model
