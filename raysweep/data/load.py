"""Datasets by name, kept free of torch so that plans are made quickly."""

from functools import lru_cache
from pathlib import Path

from raysweep.data import cifar, digits, idx, svhn
from raysweep.data.arrays import Arrays, dataset_digest
from raysweep.data.config import DataConfig
from raysweep.data.names import DATASETS
from raysweep.data.subset import permute_pixels, subset_indices, take_training_examples
from raysweep.errors import UserError


def load_arrays(config: DataConfig, data_root: str | None = None, download: bool = False) -> Arrays:
    """Load a dataset with its subset and its permutation of pixels.

    `data_root` is the folder to search instead of the default ones; `download` fetches missing files. The
    arrays must not be modified, because calls share them. Raises `UserError` for an unknown dataset, for
    malformed or missing files (the message says how to get them), and when the dataset is too small for the
    subset.
    """
    arrays = _load_whole(config.dataset, config.split_seed, data_root, download)
    kept = subset_indices(config, len(arrays.train_labels))
    if len(kept) < len(arrays.train_labels):
        arrays = take_training_examples(arrays, kept)
    if config.pixel_seed is not None:
        arrays = permute_pixels(arrays, config.pixel_seed)
    return arrays


def data_digest(config: DataConfig, data_root: str | None = None, download: bool = False) -> str:
    """Return the digest of a dataset with its subset, and of the whole, by which a subset is scaled.

    Raises `UserError` as `load_arrays` does.
    """
    configs = dict.fromkeys([config, config.whole()])
    return "".join(dataset_digest(load_arrays(each, data_root, download)) for each in configs)


def files_of(dataset: str, data_root: str | None = None, download: bool = False) -> list[Path]:
    """Return the files of a dataset without reading them. Raises `UserError` when they are missing."""
    match dataset:
        case "digits":
            return digits.files()
        case "mnist" | "fashion_mnist":
            return idx.files(dataset, data_root, download)
        case "cifar10" | "cifar100":
            return cifar.files(dataset, data_root, download)
        case "svhn":
            return svhn.files(data_root, download)
    raise UserError(f"unknown dataset {dataset!r}; valid names: {', '.join(DATASETS)}")


@lru_cache(maxsize=2)
def _load_whole(dataset: str, split_seed: int, data_root: str | None, download: bool) -> Arrays:
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
