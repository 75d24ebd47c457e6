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

STEPS = 30  # an epoch of 22 steps, whose last batch is smaller, and some of the next


@pytest.fixture(scope="module")
def streamed():
    arrays = load_arrays(DataConfig("digits"))
    return make_resident(arrays, torch.device("cpu"), scaling_of(arrays, "unit"), streams=True)


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
