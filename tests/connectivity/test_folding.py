"""A mixture as a state dict computes what the mixture on a curve computes."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from raysweep.connectivity import Mending, curve_of, mixed_state
from raysweep.data.resident import Split
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.training.evaluation import evaluate
from tests.conftest import mlp
from tests.connectivity.test_one_measure import random_state

WEIGHTS = np.array([0.5, 0.25, 0.25])
CONVOLUTIONS = ModelConfig("lenet", 2, None, "none", (1, 8, 8), 10)
BATCH_NORM = ModelConfig("lenet", 2, None, "batch", (1, 8, 8), 10)


@pytest.mark.parametrize(
    ("config", "how"),
    [
        *((config, "") for config in (mlp(12), BATCH_NORM)),
        *((config, "repair") for config in (mlp(12), mlp(12, norm="layer"), CONVOLUTIONS)),
        (BATCH_NORM, "recompute"),
    ],
)
def test_the_state_is_that_of_the_point_of_the_curve(digits, config, how):
    model, split, images = build(config), digits.test.first(100), digits.train.images[:500]
    states = [random_state(model, seed) for seed in range(3)]
    mending = {how: images} if how else {}
    line = curve_of(model, states, split.images, split.labels, WEIGHTS[None], **mending)
    state = mixed_state(model, states, WEIGHTS, Mending(**mending))
    network = build(config)
    network.load_state_dict(state)
    assert evaluate(network.eval(), split).loss == pytest.approx(line.loss[0], rel=1e-5)


def test_a_network_mixed_with_itself_is_itself(digits):
    model = build(mlp(12))
    state = random_state(model, 0)
    for mending in (Mending(), Mending(repair=digits.train.images[:500])):
        mixed = mixed_state(model, [state, state], np.array([0.5, 0.5]), mending)
        assert all(torch.equal(mixed[name], tensor) for name, tensor in state.items())


class Twice(nn.Module):
    def __init__(self, bias=True):
        super().__init__()
        self.first, self.again = nn.Linear(8, 6), nn.Linear(6, 6, bias=bias)
        self.last = nn.Linear(6, 3)

    def forward(self, x):
        hidden = torch.relu(self.again(torch.relu(self.first(x))))
        return self.last(torch.relu(self.again(hidden)) if self.again.bias is not None else hidden)


def normed(bias):
    return nn.Sequential(weight_norm(nn.Linear(8, 6, bias=bias)), nn.ReLU(), nn.Linear(6, 3))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Twice(), "layer again is used more than once"),
        (Twice(bias=False), "layer again has no biases"),
        (
            normed(bias=True),
            "layer 0: its weight is not a parameter but computed, as by weight_norm, .*make it",
        ),
        (normed(bias=False), "linear: its weight is not a parameter but computed"),
    ],
)
def test_what_cannot_be_folded_is_named(model, said):
    states = [random_state(model, seed) for seed in range(2)]
    split = Split(torch.randn(50, 8), torch.zeros(50, dtype=torch.long))
    with pytest.raises(ValueError, match=said):
        mixed_state(model, states, np.array([0.5, 0.5]), Mending(repair=split.images))
