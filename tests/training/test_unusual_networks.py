"""Frozen parameters, and gradients that come late or only sometimes."""

import pytest
import torch
from torch.nn import functional

from raysweep.digest import seed_for
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.training.loop import TrainingRun
from raysweep.training.schedule import Schedule
from tests.conftest import settings

VARIANTS = {
    "sgd": {},
    "nesterov": {"nesterov": True},
    "without momentum": {"momentum": 0.0},
    "adamw": {"optimiser": "adamw", "schedule": Schedule("cosine", 1e-3, 220)},
}


def network(name):
    return initialised(ModelConfig(f"tests.networks:{name}", 8, None, "none", (1, 8, 8), 10), "pytorch", 0)


def masks_of(model):
    generator = torch.Generator().manual_seed(5)
    matrices = [(name, p) for name, p in model.named_parameters() if p.dim() > 1]
    return {name: torch.rand(p.shape, generator=generator) > 0.5 for name, p in matrices}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["sometimes", "frozen", "tied", "head"])
def test_masked_and_stopped_anywhere_is_bitwise_the_same(digits, variant, name):
    """Also where the optimiser has a state for some of the parameters only."""
    chosen = settings(**VARIANTS[variant])

    def fresh(start=0, state=None, optimiser=None):
        model = network(name)
        masks = masks_of(model)
        if state:
            model.load_state_dict(state)
        return model, masks, TrainingRun(model, digits, chosen, start, masks, optimiser)

    straight, masks, run = fresh()
    begin = {key: tensor.clone() for key, tensor in straight.state_dict().items()}
    run.advance(12)
    end = straight.state_dict()
    for stop in range(1, 6):
        first, _, run = fresh()
        run.advance(stop)
        state = {key: tensor.clone() for key, tensor in first.state_dict().items()}
        second, _, run = fresh(stop, state, run.optimiser_state())
        run.advance(12)
        assert all(torch.equal(end[key], tensor) for key, tensor in second.state_dict().items())
    trains = {key: p.requires_grad for key, p in straight.named_parameters()}
    for key, keep in masks.items():
        assert (end[key][~keep] == 0).all()
        assert torch.equal(end[key], begin[key]) != trains[key]


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_stochastic_depth_agrees_with_plain_sgd(digits, momentum):
    model, reference = network("sometimes"), network("sometimes")
    TrainingRun(model, digits, settings(momentum=momentum, schedule=Schedule("constant", 0.1, 22))).advance(
        22
    )
    plain = torch.optim.SGD(
        reference.parameters(), lr=0.1, momentum=momentum, weight_decay=1e-4, fused=False, foreach=False
    )
    generator = torch.Generator().manual_seed(seed_for("data order", 0, 0))
    order, skipped = torch.randperm(len(digits.train), generator=generator), []
    for step, batch in enumerate(order.split(64)):
        torch.default_generator.manual_seed(seed_for("dropout", 0, step))
        plain.zero_grad()
        functional.cross_entropy(reference(digits.train.images[batch]), digits.train.labels[batch]).backward()
        skipped.append(reference.middle.weight.grad is None)
        plain.step()
    assert skipped[0]  # so its first gradient comes late
    assert 0 < sum(skipped) < len(skipped)
    ours, theirs = model.state_dict(), reference.state_dict()
    for key, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[key], atol=1e-6, rtol=1e-5)


def test_what_is_no_tensor_in_training_mode_is_named(digits):
    with pytest.raises(ValueError, match=r"in training mode the network returns tuple, not a tensor"):
        TrainingRun(network("pair"), digits, settings()).advance(1)


def test_a_step_without_anything_to_train_changes_nothing(digits):
    """All that is trained is a layer that random steps leave out."""
    model = network("sometimes")
    for layer in (model.first, model.last):
        layer.requires_grad_(False)
    run, moved = TrainingRun(model, digits, settings(momentum=0.0)), []
    for step in range(1, 9):
        before = model.middle.weight.clone()
        run.advance(step)
        moved.append(not torch.equal(model.middle.weight, before))
    assert 0 < sum(moved) < len(moved)
