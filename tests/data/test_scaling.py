import numpy as np
import pytest

from raysweep.data import SCALINGS, Arrays, DataConfig, Scaling, load_arrays, scaling_of
from raysweep.data.scaling import CHUNK


def of_images(images):
    labels = np.zeros(len(images), np.int64)
    return Arrays(images, labels, images[:1], labels[:1], 10)


def test_unit_divides_by_the_largest_training_pixel():
    scaling = scaling_of(load_arrays(DataConfig("digits")), "unit")
    assert (scaling.offset, scaling.scale) == ((0.0,), (16.0,))


def test_standardise_has_the_statistics_of_each_channel():
    images = np.random.default_rng(0).integers(0, 256, (CHUNK + 5, 3, 4, 4), dtype=np.uint8)
    images[:, 1] //= 2
    scaling = scaling_of(of_images(images), "standardise")
    np.testing.assert_allclose(scaling.offset, images.mean((0, 2, 3), dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(scaling.scale, images.std((0, 2, 3), dtype=np.float64), rtol=1e-12)


def test_the_order_of_the_pixels_changes_nothing():
    scalings = {
        scaling_of(load_arrays(DataConfig("digits", pixel_seed=seed)), "standardise") for seed in (None, 1)
    }
    assert len(scalings) == 1


@pytest.mark.parametrize("name", SCALINGS)
def test_constant_images_divide_by_1(name):
    assert scaling_of(of_images(np.zeros((2, 3, 4, 4), np.uint8)), name).scale == (1.0,) * 3


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(ValueError, match="unknown scaling 'units'; did you mean 'unit'"):
        scaling_of(load_arrays(DataConfig("digits")), "units")


def of_numbers(*shape):
    """Float inputs whose channels or features have means and deviations of their own."""
    drawn = np.random.default_rng(0).normal(2, 3, (CHUNK + 5, *shape)).astype(np.float32)
    labels = np.zeros(len(drawn), np.int64)
    return Arrays(drawn, labels, drawn[:1], labels[:1], 10)


def test_unit_divides_floats_by_their_largest_magnitude():
    arrays = of_numbers(3)
    arrays.train_images[7, 1] = -50
    assert scaling_of(arrays, "unit").scale == (50.0,) * 3


@pytest.mark.parametrize(
    ("shape", "over"), [((5,), (0,)), ((4, 5), (0, 1)), ((5, 2, 3), (0, 2, 3)), ((5, 1, 2, 2), (0, 2, 3, 4))]
)
def test_features_and_channels_of_floats_are_standardised(shape, over):
    arrays = of_numbers(*shape)
    scaling = scaling_of(arrays, "standardise")
    wide = arrays.train_images.astype(np.float64)
    np.testing.assert_allclose(scaling.offset, wide.mean(over), rtol=1e-12)
    np.testing.assert_allclose(scaling.scale, wide.std(over), rtol=1e-12)


def test_none_leaves_inputs_as_they_are():
    assert scaling_of(of_numbers(3), "none") == Scaling((0.0,) * 3, (1.0,) * 3)
