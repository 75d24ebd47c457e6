"""All points of a curve are measured alike: a network against itself has no barrier, to the last bit."""

import numpy as np
import pytest
import torch
from torch import nn

from raysweep.connectivity import barrier, barrier_of, curve, curve_of, mean_grid, pair_grid, simplex_grid
from raysweep.connectivity.statistics import recompute_statistics
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork
from raysweep.models.initialise import initialised
from raysweep.symmetry import PermutationSpec
from raysweep.training.evaluation import evaluate
from raysweep.training.loop import TrainingRun
from raysweep.training.schedule import Schedule
from tests.conftest import mlp, settings

GRIDS = [pair_grid(25), simplex_grid(12), mean_grid(4)]
CONFIGS = [mlp(width, norm=norm) for width in (8, 24) for norm in ("none", "layer", "batch")]
CONFIGS += [ModelConfig("lenet", 2, None, "batch", (1, 8, 8), 10)]


def random_state(model, seed):
    """Weights and statistics of order one, of either sign where that is valid."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(tensor.shape, generator=generator) + 0.5
        if "running_var" in name
        else torch.randn(tensor.shape, generator=generator)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in model.state_dict().items()
    }


@pytest.fixture(scope="module")
def lenets(digits):
    """Two of width 2 with BatchNorm, after one epoch, when the running statistics lag behind."""
    states = []
    for seed in range(2):
        config = ModelConfig("lenet", 2, None, "batch", (1, 8, 8), 10)
        model = initialised(config, "kaiming_normal", seed)
        run = TrainingRun(model, digits, settings(schedule=Schedule("constant", 0.1, 22), data_seed=seed))
        run.advance(22)
        states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    return states


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("grid", GRIDS, ids=len)
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_network_against_itself_has_no_barrier(digits, config, grid, recompute):
    model, split = build(config), digits.test.first(150)
    state = random_state(model, 0)
    training = digits.train.images[:200] if recompute and config.norm == "batch" else None
    points = grid if len(grid) < 90 or training is None else grid[::9]
    line = curve_of(model, [state] * grid.shape[1], split.images, split.labels, points, training)
    assert {*line.loss, *(end.loss for end in line.ends)} == {line.loss[0]}
    assert set(vars(barrier(line)).values()) - {
        barrier(line).loss_weights,
        barrier(line).error_weights,
    } == {0.0}


def test_recomputed_statistics_are_those_of_the_ends_too(digits, lenets):
    """Before: an error of .40 at the ends and .17 inside, of one and the same network."""
    model, a = build(ModelConfig("lenet", 2, None, "batch", (1, 8, 8), 10)), lenets[0]
    images, labels = digits.train.images, digits.train.labels
    line = curve_of(model, [a, a], images, labels, recompute=images)
    model.load_state_dict(a)
    recompute_statistics(model, images)
    alone = evaluate(model, digits.train)
    assert [*set(line.error), line.ends[0].error] == pytest.approx([alone.error] * 2, abs=1e-9)
    assert line.loss[0] == pytest.approx(alone.loss, rel=1e-5)
    model.load_state_dict(a)
    assert evaluate(model.eval(), digits.train).error > alone.error + 0.2  # by the running ones


def test_a_pair_under_recomputed_statistics_agrees_with_brute_force(digits, lenets):
    model = build(ModelConfig("lenet", 2, None, "batch", (1, 8, 8), 10))
    images, labels = digits.train.images, digits.train.labels

    def risk(weight):
        mixed = {
            n: torch.lerp(t, lenets[1][n], weight) if t.is_floating_point() else t
            for n, t in lenets[0].items()
        }
        model.load_state_dict(mixed)
        recompute_statistics(model, images)
        return evaluate(model, digits.train).error

    grid = pair_grid(5)
    risks = np.array([risk(second) for _, second in grid])
    expected = (risks - grid @ risks[[0, -1]]).max()
    found = barrier_of(model, lenets, images, labels, grid, images)
    assert found.error_barrier == pytest.approx(expected, abs=1e-9)


class Instance(nn.Module):
    """Its norm keeps running statistics of single images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 10)
        self.norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)

    def forward(self, images):
        return self.head(self.norm(self.conv(images)).relu().mean((2, 3)))


def test_statistics_of_instance_norm_are_recomputed(digits):
    model, images = Instance(), digits.train.images[:1000]
    recompute_statistics(model, images)
    with torch.no_grad():
        hidden = model.conv(images)
    torch.testing.assert_close(model.norm.running_mean, hidden.mean((0, 2, 3)), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(model.norm.running_var, hidden.var((2, 3)).mean(0), rtol=1e-4, atol=1e-6)


class OwnStatistics(nn.Module):
    """Keeps a running mean that no norm of torch keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)
        self.register_buffer("mean", torch.zeros(64))

    def forward(self, images):
        data = images.flatten(1)
        if self.training:
            self.mean.lerp_(data.mean(0), 0.1)
        return self.head(data - self.mean)


def test_statistics_of_other_kinds_are_refused(digits):
    model, data = OwnStatistics(), digits.test
    states = [random_state(model, seed) for seed in range(2)]
    barrier_of(model, states, data.images, data.labels)
    with pytest.raises(ValueError, match="OwnStatistics: its statistics in mean are not those of torch's"):
        barrier_of(model, states, data.images, data.labels, recompute=digits.train.images)


class Masked(nn.Module):
    """A mask of hidden units, drawn by the constructor, and a permutation of the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(64, 12), nn.Linear(12, 10)
        self.register_buffer("mask", torch.rand(12) < 0.5)

    def forward(self, images):
        return self.head(self.first(images.flatten(1)).relu() * self.mask)


def masked(seed):
    torch.manual_seed(seed)
    return {name: tensor.clone() for name, tensor in Masked().state_dict().items()}


def test_masks_are_loaded_with_their_networks(digits):
    """Before: the mask of whichever network had been built, .6875 and .7170 of one function."""
    model, data, a = Masked(), digits.test, masked(0)
    spec = PermutationSpec.trace(model, data.images[:2])
    b = spec.apply(spec.random(torch.Generator().manual_seed(1)), a)
    assert not torch.equal(a["mask"], b["mask"])
    risks = []
    for state in (a, b):
        line = curve_of(model, [state, state], data.images, data.labels)
        model.load_state_dict(state)
        assert line.ends[0].loss == pytest.approx(evaluate(model.eval(), data).loss, rel=1e-5)
        risks.append(line.ends[0])
    assert risks[0].error == risks[1].error
    assert risks[0].loss == pytest.approx(risks[1].loss, rel=1e-5)


def test_networks_with_other_masks_are_not_mixed(digits):
    data = digits.test
    with pytest.raises(ValueError, match="networks that differ in mask cannot be mixed"):
        barrier_of(Masked(), [masked(0), masked(1)], data.images, data.labels)


def test_an_end_that_is_known_leaves_no_mask_behind(digits):
    """`end` evaluates the unpermuted network, whose mask is another one than that of the curve."""
    data, a = digits.test, masked(0)
    spec = PermutationSpec.trace(Masked(), data.images[:2])
    b = spec.apply(spec.random(torch.Generator().manual_seed(1)), a)
    network = FlatNetwork(Masked())

    def end(place):
        network.load(b)
        return plain.ends[0]

    plain = curve(network, [a, a], pair_grid(3), data)
    again = curve(network, [a, a], pair_grid(3), data, end=end)
    assert again.loss.tolist() == plain.loss.tolist()
