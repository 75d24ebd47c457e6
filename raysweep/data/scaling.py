"""How pixels and other inputs are scaled, kept free of torch so that plans are made quickly."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from raysweep.data.arrays import Arrays, channel_axis
from raysweep.data.registry import FOR_SCALINGS, SCALINGS
from raysweep.errors import UserError
from raysweep.registry import arguments, is_own

NOTHING: Mapping[str, Any] = {}
CHUNK = 4096  # examples at a time, because sums use eight bytes per number


@dataclass(frozen=True)
class Scaling:
    """An input is (pixel - offset) / scale, with one offset and one scale per channel or feature."""

    offset: tuple[float, ...]
    scale: tuple[float, ...]


def scaling_of(arrays: Arrays, name: str, options: Mapping[str, Any] = NOTHING) -> Scaling:
    """Return the scaling that follows from the training images and from options of its function.

    Networks that are compared must receive the same inputs, so for a subset, pass the arrays of the whole
    dataset. A scale of zero is replaced by 1. Raises `ValueError` for an unknown name, and `UserError` where
    a user's function fails, or returns anything but a pair of an offset and a scale, each a number or one
    for each channel, which are finite, and a scale that is not zero.
    """
    function = SCALINGS.function(name)
    given = arguments(function, dict(zip(FOR_SCALINGS, (arrays,), strict=True)), options)
    if not is_own(name):
        ours: Scaling = function(**given)
        return ours
    try:
        offset, scale = (
            np.broadcast_to(np.asarray(values, np.float64), _channels(arrays)) for values in function(**given)
        )
    except Exception as error:
        raise UserError(
            f"scaling {name!r} fails, or does not return a pair of an offset and a scale, each a number or "
            f"one for each of {_channels(arrays)} channels: {type(error).__name__}: {error}"
        ) from error
    if not np.isfinite([offset, scale]).all() or not scale.all():
        raise UserError(
            f"scaling {name!r}: offset {offset.tolist()}, scale {scale.tolist()}; expected finite "
            "numbers, and scales that are not zero"
        )
    return Scaling(tuple(offset.tolist()), tuple(scale.tolist()))


def unit(arrays: Arrays) -> Scaling:
    """Scale the training value of the largest magnitude, such as that of the brightest pixel, to 1."""
    images = arrays.train_images
    largest = max(abs(float(images.max())), abs(float(images.min())))
    return Scaling((0.0,) * _channels(arrays), (largest or 1.0,) * _channels(arrays))


def standardise(arrays: Arrays) -> Scaling:
    """Give each channel, or each feature of sequences and vectors, mean 0 and standard deviation 1."""
    mean, variance = (_counted if arrays.train_images.dtype == np.uint8 else _summed)(arrays)
    deviation = np.sqrt(variance)
    return Scaling(tuple(mean.tolist()), tuple(np.where(deviation > 0, deviation, 1.0).tolist()))


def none(arrays: Arrays) -> Scaling:
    """Leave inputs as they are."""
    return Scaling((0.0,) * _channels(arrays), (1.0,) * _channels(arrays))


def _channels(arrays: Arrays) -> int:
    return arrays.shape[channel_axis(arrays.shape)]


def _by_channel(arrays: Arrays, start: int) -> np.ndarray:
    """Return a chunk of the training examples as (channels, values)."""
    images = arrays.train_images[start : start + CHUNK]
    return np.moveaxis(images, 1 + channel_axis(arrays.shape), 0).reshape(_channels(arrays), -1)


def _counted(arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the variance of bytes by channel.

    Exact counts make them independent of the order of the images and of the pixels.
    """
    counts = np.zeros((_channels(arrays), 256), np.int64)
    for start in range(0, len(arrays.train_images), CHUNK):
        for row, values in zip(counts, _by_channel(arrays, start), strict=True):
            row += np.bincount(values, minlength=256)
    values = np.arange(256, dtype=np.float64)
    total = counts.sum(axis=1)
    mean = counts @ values / total
    return mean, (counts * (values - mean[:, None]) ** 2).sum(axis=1) / total


def _summed(arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the variance of other numbers by channel, in two passes with sums in float64."""
    starts = range(0, len(arrays.train_images), CHUNK)
    total = arrays.train_images.size // _channels(arrays)
    sums = [_by_channel(arrays, start).sum(axis=1, dtype=np.float64) for start in starts]
    mean = np.sum(sums, axis=0) / total
    squares = [((_by_channel(arrays, start) - mean[:, None]) ** 2).sum(axis=1) for start in starts]
    return mean, np.sum(squares, axis=0) / total
