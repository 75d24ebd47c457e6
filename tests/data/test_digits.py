import numpy as np
from sklearn.datasets import load_digits

from raysweep.data import DataConfig, dataset_digest, load_arrays


def test_the_split_has_its_own_seed():
    first, again, other = (load_arrays(DataConfig("digits", split_seed=seed)) for seed in (0, 0, 1))
    assert len(first.train_labels) == 1397
    assert len(first.test_labels) == 400
    assert dataset_digest(first) == dataset_digest(again) != dataset_digest(other)


def test_the_examples_are_those_that_scikit_learn_loads():
    """Their strides too, which decide how torch convolves."""
    ours, theirs = load_arrays(DataConfig("digits", split_seed=0)), load_digits()
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(theirs.target))
    train, images = order[400:], theirs.images.astype(np.uint8)[:, None]
    assert np.array_equal(ours.train_images, images[train])
    assert ours.train_images.strides == images[train].strides
    assert np.array_equal(ours.train_labels, theirs.target[train])
