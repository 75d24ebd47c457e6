"""How pixels become the inputs of a network; nothing here imports torch, so that plans are quick."""

from dataclasses import dataclass

import numpy as np

from raysweep.data.arrays import Arrays
from raysweep.data.names import SCALINGS

CHUNK = 4096  # images counted at a time: bincount makes eight bytes of each pixel


@dataclass(frozen=True)
class Scaling:
    """An input is (pixel - offset) / scale, with one offset and one scale for each channel."""

    offset: tuple[float, ...]
    scale: tuple[float, ...]


def scaling_of(arrays: Arrays, name: str) -> Scaling:
    """Return the scaling whose statistics are those of the training images.

    Networks that are compared must see the same inputs: for a subset, pass the arrays of the whole
    dataset. "unit" makes the largest training pixel 1; "standardise" gives each channel mean 0 and
    standard deviation 1. What would divide by zero divides by 1. Raises `ValueError` for another name.
    """
    counts = _pixel_counts(arrays.train_images)
    if name == "unit":
        largest = float(np.flatnonzero(counts.any(axis=0)).max())
        return Scaling((0.0,) * len(counts), (largest or 1.0,) * len(counts))
    if name == "standardise":
        # From exact counts: the order of the images and of the pixels cannot change a digit.
        values = np.arange(256, dtype=np.float64)
        total = counts.sum(axis=1)
        mean = counts @ values / total
        variance = (counts * (values - mean[:, None]) ** 2).sum(axis=1) / total
        deviation = np.sqrt(variance)
        return Scaling(tuple(mean.tolist()), tuple(np.where(deviation > 0, deviation, 1.0).tolist()))
    raise ValueError(f"unknown scaling {name!r}; valid names: {', '.join(SCALINGS)}")


def _pixel_counts(images: np.ndarray) -> np.ndarray:
    """Return how often each value occurs in each channel, shape (channels, 256)."""
    counts = np.zeros((images.shape[1], 256), np.int64)
    for start in range(0, len(images), CHUNK):
        for channel, row in enumerate(counts):
            row += np.bincount(images[start : start + CHUNK, channel].ravel(), minlength=256)
    return counts
