"""Training examples that stay on the host: networks have the bits that they have with resident data."""

import pytest
import torch

from raysweep.data import DataConfig, load_arrays, scaling_of
from raysweep.data.resident import make_resident
from raysweep.models.initialise import initialised
from raysweep.training import loop
from raysweep.training.loop import TrainingRun
from raysweep.vocabulary import Way
from tests.conftest import mlp, settings
from tests.connectivity.test_streaming import placed
from tests.pretended_device import DEVICE, pretended_device

STEPS = 30  # an epoch of 22 steps, whose last batch is smaller, and some of the next


def resident(device):
    arrays = load_arrays(DataConfig("digits"))
    return make_resident(arrays, device, scaling_of(arrays, "unit"), streams=True)


@pytest.fixture(scope="module")
def streamed():
    return resident(torch.device("cpu"))


def end(data, way, **changes):
    model = initialised(mlp(), "pytorch", 0)
    TrainingRun(model, data, settings(**changes), ways=(way,)).advance(STEPS)
    return model.state_dict()


@pytest.mark.parametrize("way", [Way.PLAIN, Way.CAPTURED])
@pytest.mark.parametrize("changes", [{"augment": "flip_crop"}, {"batch_size": 2000}, {"drop_last": True}])
def test_networks_are_those_of_resident_data(digits, streamed, way, changes, monkeypatch):
    monkeypatch.setattr(loop, "WINDOW", 7 * 64 * 64 * 4)  # seven steps of 64 images of 64 pixels
    expected = end(digits, way, **changes)
    for name, tensor in end(streamed, way, **changes).items():
        assert torch.equal(tensor, expected[name])


def test_a_run_that_stops_anywhere_goes_on_to_the_same_bits(digits, streamed):
    model = initialised(mlp(), "pytorch", 0)
    run = TrainingRun(model, streamed, settings())
    for step in (1, 21, 23, STEPS):
        run.advance(step)
    expected = end(digits, Way.PLAIN)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())


def test_the_first_examples_are_those_of_resident_data(digits, streamed):
    first = streamed.train.first(100)
    assert torch.equal(first.images, digits.train.images[:100])
    assert torch.equal(first.labels, digits.train.labels[:100])
    assert streamed.train.first(100) is first
    assert len(streamed.train) == len(digits.train)


def test_a_device_gives_the_bits_of_the_cpu(digits):
    """All tensors of an operation are on one device, or the pretended device raises an error."""
    changes = {"augment": "flip_crop", "optimiser": "rmsprop", "momentum": 0.0}  # others are fused on devices
    expected = end(digits, Way.PLAIN, **changes)
    with pretended_device():
        data = resident(torch.device(DEVICE))
        model = placed(initialised(mlp(), "pytorch", 0), {})
        TrainingRun(model, data, settings(**changes)).begin(STEPS)
        found = {name: tensor.to("cpu") for name, tensor in model.state_dict().items()}
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
