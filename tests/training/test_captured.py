"""Captured steps, by the stand-in that runs the same code on the CPU."""

import itertools

import pytest
import torch
from torch import nn

from raysweep.accelerator.compiling import _warn, lacking
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.training.loop import Diverged, TrainingRun
from raysweep.training.schedule import Schedule
from raysweep.vocabulary import Way
from tests.conftest import mlp, settings

CAPTURED = (Way.CAPTURED, Way.PLAIN)
NORMED = ModelConfig("lenet", 2, None, "batch", (1, 8, 8), 10)
VARIANTS = {
    "sgd": {},
    "nesterov": {"nesterov": True},
    "without momentum": {"momentum": 0.0},
    "adamw": {"optimiser": "adamw", "schedule": Schedule("cosine", 1e-3, 220)},
    "augmented": {"augment": "flip_crop"},
    "bfloat16": {"precision": "bfloat16"},
    "drop_last": {"drop_last": True},
    "one size": {"batch_size": 1437 // 3},
}


def masks_of(model):
    generator = torch.Generator().manual_seed(5)
    matrices = [(name, p) for name, p in model.named_parameters() if p.dim() > 1]
    return {name: torch.rand(p.shape, generator=generator) > 0.5 for name, p in matrices}


def trained_for(steps, config, data, chosen, ways, stops=()):
    model = initialised(config, "pytorch", 0)
    run = TrainingRun(model, data, chosen, masks=masks_of(model), ways=ways)
    for stop in (*stops, steps):
        run.advance(stop)
    return run


def everything(run):
    return {**run.model.state_dict(), **run.optimiser_state()}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("config", [mlp(), NORMED], ids=["mlp", "batch norm"])
def test_captured_steps_are_plain_steps(digits, variant, config):
    """Across epochs, whose last batch is smaller; only the learning rate is rounded to float32."""
    chosen = settings(**VARIANTS[variant])
    plain = trained_for(30, config, digits, chosen, (Way.PLAIN,))
    captured = trained_for(30, config, digits, chosen, CAPTURED)
    assert captured.way == Way.CAPTURED
    tolerance = 2e-2 if variant == "bfloat16" else 1e-3
    torch.testing.assert_close(everything(captured), everything(plain), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("variant", ["sgd", "adamw", "augmented"])
def test_captured_and_resumed_anywhere_is_bitwise_the_same(digits, variant):
    chosen = settings(**VARIANTS[variant])
    straight = trained_for(30, NORMED, digits, chosen, CAPTURED)
    stopped = trained_for(30, NORMED, digits, chosen, CAPTURED, stops=(1, 21, 23, 26))
    first = trained_for(26, NORMED, digits, chosen, CAPTURED)
    model = initialised(NORMED, "pytorch", 1)
    model.load_state_dict(first.model.state_dict())
    resumed = TrainingRun(model, digits, chosen, 26, masks_of(model), first.optimiser_state(), CAPTURED)
    resumed.advance(30)
    for other in (stopped, resumed):
        torch.testing.assert_close(everything(other), everything(straight), atol=0, rtol=0)


def test_runs_that_take_turns_have_the_bits_of_runs_alone(digits):
    """Also where one of them diverges meanwhile."""
    rates = [0.1, 0.05, 1e30]
    chosen = [settings(schedule=Schedule("constant", rate, 220), data_seed=n) for n, rate in enumerate(rates)]
    alone = [trained_for(40, mlp(), digits, each, CAPTURED) for each in chosen[:2]]
    runs = []
    for each in chosen:
        model = initialised(mlp(), "pytorch", 0)
        runs.append(TrainingRun(model, digits, each, masks=masks_of(model), ways=CAPTURED))
    for stop in (7, 22, 40):
        for run in runs:
            run.begin(stop)
    for run, expected in zip(runs, alone, strict=False):
        run.check()
        torch.testing.assert_close(everything(run), everything(expected), atol=0, rtol=0)
    with pytest.raises(Diverged, match="learning rate 1e\\+30"):
        runs[2].check()


def test_a_loss_that_is_not_finite_is_found_at_its_step(digits):
    chosen = settings(schedule=Schedule("constant", 1e30, 220))
    with pytest.raises(Diverged) as plain:
        trained_for(40, mlp(), digits, chosen, (Way.PLAIN,))
    with pytest.raises(Diverged) as captured:
        trained_for(40, mlp(), digits, chosen, CAPTURED)
    assert str(captured.value) == str(plain.value)


@pytest.mark.parametrize("name", ["dropping", "sometimes", "frozen", "tied", "head"])
def test_networks_of_a_user_are_captured(digits, name):
    """Dropout draws the same numbers at each step, whatever other runs do in between."""
    config = ModelConfig(f"tests.networks:{name}", 8, None, "none", (1, 8, 8), 10)
    plain = trained_for(30, config, digits, settings(), (Way.PLAIN,))
    runs = []
    for _ in range(2):
        model = initialised(config, "pytorch", 0)
        runs.append(TrainingRun(model, digits, settings(), masks=masks_of(model), ways=CAPTURED))
    for stop in (5, 30):
        for run in runs:
            run.begin(stop)
    for run in runs:
        run.check()
        assert run.way == Way.CAPTURED
        torch.testing.assert_close(run.model.state_dict(), plain.model.state_dict(), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(everything(runs[0]), everything(runs[1]), atol=0, rtol=0)


@pytest.mark.slow
def test_compiled_steps_are_plain_steps(digits):
    """Two runs share what is compiled, and have the same bits as a run that compiles on its own."""
    if lacking("cpu"):
        pytest.fail(lacking("cpu"))
    template = build(mlp(8, 1))
    runs = []
    for shared in (template, template, None):
        model = initialised(mlp(8, 1), "pytorch", 0)
        ways = (Way.COMPILED, Way.PLAIN)
        runs.append(TrainingRun(model, digits, settings(), ways=ways, template=shared))
        runs[-1].advance(30)
        assert runs[-1].way == Way.COMPILED
        torch.testing.assert_close(everything(runs[-1]), everything(runs[0]), atol=0, rtol=0)
    plain = TrainingRun(initialised(mlp(8, 1), "pytorch", 0), digits, settings())
    plain.advance(30)
    torch.testing.assert_close(everything(runs[0]), everything(plain), atol=1e-3, rtol=1e-3)


def test_a_capture_that_is_not_faithful_is_not_used(digits, caplog):
    """Here because each step changes what the next one computes, which replays on a GPU would not notice."""
    _warn.cache_clear()  # each warning is given once in a process
    count = itertools.count()

    class Counting(nn.Linear):
        def forward(self, images):
            return super().forward(images.flatten(1)) * next(count)

    run = TrainingRun(Counting(64, 10), digits, settings(), ways=CAPTURED)
    run.advance(3)
    assert run.way == Way.PLAIN
    assert run.fallback.startswith("not captured (Unfaithful: ")
    assert run.fallback in caplog.text
