import numpy as np
import pytest
import torch
from torch import nn

from raysweep.alignment import weight_matching
from raysweep.connectivity import Mending, barrier, curve, pair_grid, statistics
from raysweep.connectivity.statistics import (
    foreign_statistics,
    has_running_statistics,
    recompute_statistics,
)
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork
from raysweep.models.initialise import initialised
from raysweep.symmetry import PermutationSpec
from raysweep.training.evaluation import evaluate
from raysweep.training.loop import TrainingRun
from raysweep.training.schedule import Schedule
from tests.conftest import mlp, settings

MOMENTS = (lambda part: part.mean(dim=0), lambda part: part.var(dim=0))
CONFIG = ModelConfig("lenet", 6, None, "batch", (1, 8, 8), 10)


@pytest.fixture(scope="module")
def pair(digits):
    states = []
    for seed in range(2):
        model = initialised(CONFIG, "kaiming_normal", seed)
        run = TrainingRun(model, digits, settings(schedule=Schedule("one_cycle", 0.05, 110), data_seed=seed))
        run.advance(110)
        states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    spec = PermutationSpec.trace(build(CONFIG), torch.zeros(2, 1, 8, 8))
    found = weight_matching(spec, states[0], states[1], seed=0)
    return [states[0], spec.apply(found.permutation, states[1])]


def line(digits, pair, recompute):
    return curve(FlatNetwork(build(CONFIG)), pair, pair_grid(5), digits.test, Mending(recompute))


def test_who_has_running_statistics():
    assert has_running_statistics(build(CONFIG))
    assert not has_running_statistics(build(mlp(norm="layer")))


def test_recomputed_statistics_agree_with_brute_force(digits, pair):
    """The midpoint, mixed by state dict, with torch's own cumulative averages."""
    found = line(digits, pair, digits.train.images)
    plain = build(CONFIG)
    mixed = {n: 0.5 * a + 0.5 * pair[1][n] if a.is_floating_point() else a for n, a in pair[0].items()}
    plain.load_state_dict(mixed)
    for module in plain.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
            module.momentum = None
    plain.train()
    with torch.no_grad():
        plain(digits.train.images[:1000])
    risk = evaluate(plain.eval(), digits.test)
    assert found.loss[2] == pytest.approx(risk.loss, rel=1e-4)
    assert found.error[2] == pytest.approx(risk.error, abs=1e-9)


def test_recomputing_cures_collapsed_variances(digits, pair):
    kept, recomputed = line(digits, pair, None), line(digits, pair, digits.train.images)
    assert barrier(recomputed).loss_barrier < barrier(kept).loss_barrier
    assert np.isfinite(recomputed.loss).all()


def test_repeating_changes_nothing(digits, pair):
    model = build(CONFIG)
    model.load_state_dict(pair[0])
    recompute_statistics(model, digits.train.images)
    first = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    recompute_statistics(model, digits.train.images)
    assert all(torch.equal(first[name], tensor) for name, tensor in model.state_dict().items())
    assert not model.training


def test_a_network_evaluates_as_before_when_recomputing_fails(digits, pair, monkeypatch):
    network = FlatNetwork(build(CONFIG))
    network.vector.copy_(network.flatten(pair[0]))
    before = network.model(digits.test.images)

    def no_memory(*arguments):
        raise torch.OutOfMemoryError

    with monkeypatch.context() as change:
        change.setattr(network.model.classifier, "forward", no_memory)
        with pytest.raises(torch.OutOfMemoryError):
            recompute_statistics(network.model, digits.train.images)
    network.vector.copy_(network.flatten(pair[0]))
    assert torch.equal(network.model(digits.test.images), before)


@pytest.mark.parametrize(("examples", "chunks"), [(250, (100, 100)), (200, (100, 100)), (40, (40,))])
def test_statistics_are_means_over_whole_chunks(monkeypatch, examples, chunks):
    """By hand: a last chunk that is not full is left out, unless it is the only one."""
    monkeypatch.setattr(statistics, "CHUNK", 100)
    images = torch.randn(examples, 3, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.9), nn.BatchNorm1d(3))
    recompute_statistics(model, images)
    parts = images[: sum(chunks)].split(chunks)
    means, variances = (torch.stack([each(part) for part in parts]).mean(dim=0) for each in MOMENTS)
    torch.testing.assert_close(model[0].running_mean, means)
    torch.testing.assert_close(model[0].running_var, variances)
    assert model[2].running_mean.abs().max() < 1e-6  # dropout was off: means of what the first norm returns
    assert [model[0].momentum, model[0].training, model.training] == [0.1, False, False]


class Centred(nn.Module):
    """Keeps a running mean of its own, beside a norm of torch's and a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("constant", torch.ones(3))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.mean = self.mean.lerp(images.mean(dim=0), 0.1)
            self.calls += 1
        return self.norm((images - self.mean) * self.constant)


def test_statistics_of_others_than_torchs_norms_are_named():
    model = Centred().eval()
    assert foreign_statistics(model, torch.zeros(1, 3)) == ["mean"]
    assert not model.training
    assert model.mean.abs().max() == model.calls == 0
    assert foreign_statistics(build(CONFIG), torch.zeros(1, 1, 8, 8)) == []
    # their inputs are of the precision of the network
    assert foreign_statistics(model.double(), torch.zeros(1, 3)) == ["mean"]


def test_statistics_of_a_network_of_tokens_are_those_of_numbers_that_it_knows():
    tokens = torch.arange(6).view(2, 3)
    layers = nn.Sequential(nn.Embedding(6, 4), nn.BatchNorm1d(3), Noted())
    assert foreign_statistics(layers, tokens) == ["2.largest"]


class Noted(nn.Module):
    """Keeps the largest number that it has got."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("largest", torch.zeros(()))

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        self.largest = torch.maximum(self.largest, numbers.max())
        return numbers
