import numpy as np
import pytest
import torch

from raysweep.data import SCALINGS, Arrays, DataConfig, load_arrays, scaling_of
from raysweep.data.resident import make_resident
from raysweep.data.subset import subset_indices

CPU = torch.device("cpu")
WHOLE = load_arrays(DataConfig("digits"))


def colours():
    images = np.random.default_rng(0).integers(0, 200, (50, 3, 8, 8), dtype=np.uint8)
    labels = np.arange(50) % 10
    return Arrays(images, labels, images[:7], labels[:7], 10)


def test_unit_is_a_division_by_the_largest_pixel_bit_for_bit():
    arrays = colours()
    resident = make_resident(arrays, CPU, scaling_of(arrays, "unit"))
    train = torch.from_numpy(arrays.train_images).to(torch.float32)
    assert torch.equal(resident.train.images, train / train.max())
    assert torch.equal(resident.test.images, torch.from_numpy(arrays.test_images) / train.max())
    assert resident.black.tolist() == [0, 0, 0]


def test_standardise_gives_each_channel_mean_0_and_deviation_1():
    arrays = colours()
    resident = make_resident(arrays, CPU, scaling_of(arrays, "standardise"))
    channels = resident.train.images.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(channels.mean(1), torch.zeros(3, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(channels.std(1, correction=0), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("name", SCALINGS)
def test_black_is_what_the_pixel_0_becomes(name):
    arrays = colours()
    resident = make_resident(arrays, CPU, scaling_of(arrays, name))
    for channel in range(3):
        dark = torch.from_numpy(arrays.train_images[:, channel] == 0)
        assert set(resident.train.images[:, channel][dark].tolist()) == {resident.black[channel].item()}
    assert resident.black.shape == (3,)


@pytest.mark.parametrize("name", SCALINGS)
@pytest.mark.parametrize("half", [0, 1])
def test_a_half_has_the_inputs_of_the_whole(name, half):
    config = DataConfig("digits", half=half)
    scaling = scaling_of(load_arrays(config.whole()), name)
    whole = make_resident(WHOLE, CPU, scaling)
    part = make_resident(load_arrays(config), CPU, scaling)
    kept = subset_indices(config, len(whole.train))
    assert torch.equal(part.train.images, whole.train.images[kept])
    assert torch.equal(part.test.images, whole.test.images)
    assert torch.equal(part.black, whole.black)


def test_splits_know_their_length_and_their_beginning():
    resident = make_resident(WHOLE, CPU, scaling_of(WHOLE, "unit"))
    assert (len(resident.train), len(resident.test), resident.classes) == (1397, 400, 10)
    first = resident.train.first(3)
    assert len(first) == len(first.images) == 3


def test_the_arrays_stay_as_they_were():
    before = WHOLE.train_images.copy()
    make_resident(WHOLE, CPU, scaling_of(WHOLE, "standardise"))
    assert np.array_equal(WHOLE.train_images, before)


@pytest.mark.parametrize("name", SCALINGS)
@pytest.mark.parametrize("shape", [(5,), (4, 5), (5, 2, 3), (5, 1, 2, 2)])
def test_inputs_of_any_shape_are_scaled_by_channel_and_stay_as_they_were(name, shape):
    images = np.random.default_rng(0).normal(2, 3, (50, *shape)).astype(np.float32)
    labels, before = np.arange(50) % 10, images.copy()
    arrays = Arrays(images, labels, images[:7], labels[:7], 10)
    scaling = scaling_of(arrays, name)
    offset, scale = (np.array(each, np.float32) for each in (scaling.offset, scaling.scale))
    if len(shape) > 2:
        offset, scale = (each.reshape(5, *[1] * (len(shape) - 1)) for each in (offset, scale))
    data = make_resident(arrays, CPU, scaling)
    assert np.array_equal(data.train.images.numpy(), (before - offset) / scale)
    assert np.array_equal(data.black.numpy(), (-offset / scale).ravel())
    assert np.array_equal(images, before)
