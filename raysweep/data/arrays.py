"""Datasets as numpy arrays; nothing here imports torch, so that plans are quick."""

import hashlib
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from raysweep.data.config import DataConfig
from raysweep.errors import UserError

DATASETS = ("digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "svhn")


@dataclass(frozen=True)
class Arrays:
    """A dataset: images are unsigned bytes of shape (examples, channels, height, width), labels int64.

    `classes` is the number of classes of the dataset, whichever of them a subset happens to hold.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width


def load_arrays(config: DataConfig, data_root: str | None = None, download: bool = False) -> Arrays:
    """Load a dataset, its subset and its order of pixels.

    `data_root` is the folder to search, in place of the dataset's own places; `download` fetches what
    is missing. Treat the arrays as read-only: calls share them. Raises `UserError` for an unknown
    dataset, missing files (saying what provides them), malformed files, and a subset that the dataset
    is too small for.
    """
    from raysweep.data.subset import permute_pixels, subset_indices, take_training_examples

    arrays = _load_whole(config.dataset, config.split_seed, data_root, download)
    kept = subset_indices(config, len(arrays.train_labels))
    if len(kept) < len(arrays.train_labels):
        arrays = take_training_examples(arrays, kept)
    if config.pixel_seed is not None:
        arrays = permute_pixels(arrays, config.pixel_seed)
    return arrays


@lru_cache(maxsize=2)
def _load_whole(dataset: str, split_seed: int, data_root: str | None, download: bool) -> Arrays:
    from raysweep.data import cifar, digits, idx, svhn  # not at the top: they build on Arrays

    match dataset:
        case "digits":
            return digits.load(split_seed)
        case "mnist" | "fashion_mnist":
            return idx.load(dataset, data_root, download)
        case "cifar10" | "cifar100":
            return cifar.load(dataset, data_root, download)
        case "svhn":
            return svhn.load(data_root, download)
    raise UserError(f"unknown dataset {dataset!r}; valid names: {', '.join(DATASETS)}")


def dataset_digest(arrays: Arrays) -> str:
    """Return the SHA-256 of the decoded arrays and the number of classes.

    It is the same for every packaging of the same data.
    """
    sha = hashlib.sha256()
    for field in fields(arrays):
        value = getattr(arrays, field.name)
        if isinstance(value, np.ndarray):
            sha.update(f"{field.name}{value.dtype}{value.shape}".encode())
            sha.update(np.ascontiguousarray(value).data)
        else:
            sha.update(f"{field.name}{value}".encode())
    return sha.hexdigest()
