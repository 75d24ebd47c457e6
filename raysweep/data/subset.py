"""Subsets of the training examples, and permutations of the pixels."""

import math
from dataclasses import replace

import numpy as np

from raysweep.data.arrays import Arrays
from raysweep.data.config import DataConfig
from raysweep.digest import seed_for
from raysweep.errors import UserError


def subset_indices(config: DataConfig, count: int) -> np.ndarray:
    """Return the sorted indices, int64 (kept,), of the training examples that the config keeps.

    `count` is the number of training examples. Halves, fractions and ranges are cut from the same shuffled
    order, so a smaller fraction is contained in a larger one. Raises `UserError` when the range exceeds
    `count` or the subset is empty.
    """
    start, stop = _range(config, count)
    if stop > count:
        raise UserError(f"examples [{start}, {stop}) of {config.dataset}: it has {count} training examples")
    if start == stop:
        raise UserError(f"the subset of {config.dataset} is empty: it has {count} training examples")
    # Sorting keeps the file's order for the whole dataset, and therefore its digest.
    return np.sort(_shuffled("subset", config.subset_seed, count)[start:stop])


def _range(config: DataConfig, count: int) -> tuple[int, int]:
    """Return the range [start, stop) in the shuffled order."""
    if config.half is not None:
        middle = (count + 1) // 2
        return (0, middle) if config.half == 0 else (middle, count)
    if config.fraction is not None:
        return 0, round(config.fraction * count)
    return config.examples or (0, count)


def take_training_examples(arrays: Arrays, indices: np.ndarray) -> Arrays:
    """Return the dataset with only these training examples and all test examples."""
    return replace(
        arrays, train_images=arrays.train_images[indices], train_labels=arrays.train_labels[indices]
    )


def permute_pixels(arrays: Arrays, pixel_seed: int) -> Arrays:
    """Return the dataset with one permutation of positions applied to all inputs.

    The positions of images are their height * width pixels, those of sequences their steps, and those of
    vectors their features.
    """
    shape = arrays.shape
    count = math.prod(shape[1:]) if len(shape) > 2 else shape[0]
    order = _shuffled("pixels", pixel_seed, count)
    return replace(
        arrays,
        train_images=_reorder(arrays.train_images, order),
        test_images=_reorder(arrays.test_images, order),
    )


def _reorder(images: np.ndarray, order: np.ndarray) -> np.ndarray:
    # Unlike indexing along the last axis, take returns a C-contiguous array.
    if images.ndim < 4:
        return np.take(images, order, axis=1)
    return np.take(images.reshape(*images.shape[:2], -1), order, axis=2).reshape(images.shape)


def _shuffled(purpose: str, seed: int, count: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed_for(purpose, seed))).permutation(count)
