"""Datasets by name, as numpy arrays; nothing here imports torch, so that plans are quick."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from raysweep.errors import UserError


@dataclass(frozen=True)
class Arrays:
    """A dataset: images are unsigned bytes of shape (examples, channels, height, width), labels int64."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def classes(self) -> int:
        return int(self.train_labels.max()) + 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width


def _digits(data_root: str | None, download: bool, split_seed: int) -> Arrays:
    from raysweep.data.digits import load

    return load(split_seed)


def _fashion_mnist(data_root: str | None, download: bool, split_seed: int) -> Arrays:
    from raysweep.data.fashion_mnist import load

    return load(data_root, download)


DATASETS: dict[str, Callable[[str | None, bool, int], Arrays]] = {
    "digits": _digits,
    "fashion_mnist": _fashion_mnist,
}


@lru_cache(maxsize=2)
def load_arrays(
    name: str, data_root: str | None = None, download: bool = False, split_seed: int = 0
) -> Arrays:
    """Load a dataset by name.

    `split_seed` matters only to datasets without an official test set. Raises `UserError` when the
    files are missing (saying what provides them) or malformed.
    """
    if name not in DATASETS:
        raise UserError(f"unknown dataset {name!r}; valid names: {', '.join(DATASETS)}")
    return DATASETS[name](data_root, download, split_seed)


def dataset_digest(arrays: Arrays) -> str:
    """Return the SHA-256 of the decoded arrays: the same for every packaging of the same data."""
    sha = hashlib.sha256()
    for field in fields(arrays):
        array = np.ascontiguousarray(getattr(arrays, field.name))
        sha.update(f"{field.name}{array.dtype}{array.shape}".encode())
        sha.update(array.data)
    return sha.hexdigest()
