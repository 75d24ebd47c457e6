"""How pixels become a network's inputs, kept free of torch so that plans are made quickly."""

from dataclasses import dataclass

import numpy as np

from raysweep.data.arrays import Arrays
from raysweep.data.names import SCALINGS

CHUNK = 4096  # images counted at a time, because bincount uses eight bytes per pixel


@dataclass(frozen=True)
class Scaling:
    """An input is (pixel - offset) / scale, with one offset and one scale per channel."""

    offset: tuple[float, ...]
    scale: tuple[float, ...]


def scaling_of(arrays: Arrays, name: str) -> Scaling:
    """Return the scaling that follows from the training images.

    Networks that are compared must receive the same inputs, so for a subset, pass the arrays of the whole
    dataset. `unit` scales the largest training pixel to 1; `standardise` gives each channel mean 0 and
    standard deviation 1. A scale of zero is replaced by 1. Raises `ValueError` for another name.
    """
    counts = _pixel_counts(arrays.train_images)
    if name == "unit":
        largest = float(np.flatnonzero(counts.any(axis=0)).max())
        return Scaling((0.0,) * len(counts), (largest or 1.0,) * len(counts))
    if name == "standardise":
        # Exact counts make the result independent of the order of the images and of the pixels.
        values = np.arange(256, dtype=np.float64)
        total = counts.sum(axis=1)
        mean = counts @ values / total
        variance = (counts * (values - mean[:, None]) ** 2).sum(axis=1) / total
        deviation = np.sqrt(variance)
        return Scaling(tuple(mean.tolist()), tuple(np.where(deviation > 0, deviation, 1.0).tolist()))
    raise ValueError(f"unknown scaling {name!r}; valid names: {', '.join(SCALINGS)}")


def _pixel_counts(images: np.ndarray) -> np.ndarray:
    """Return how often each pixel value occurs in each channel, int64 (channels, 256)."""
    counts = np.zeros((images.shape[1], 256), np.int64)
    for start in range(0, len(images), CHUNK):
        for channel, row in enumerate(counts):
            row += np.bincount(images[start : start + CHUNK, channel].ravel(), minlength=256)
    return counts
