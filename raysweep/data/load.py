"""Datasets by name, kept free of torch so that plans are made quickly."""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from raysweep.data.arrays import Arrays, dataset_digest
from raysweep.data.config import DataConfig
from raysweep.data.registry import DATASETS
from raysweep.data.returned import arrays_of
from raysweep.data.subset import permute_pixels, subset_indices, take_training_examples
from raysweep.errors import UserError
from raysweep.registry import arguments, check_options, imported, taken

OFFERED = ("split_seed", "data_root", "download")  # arguments that a user's function may take
OPTIONS = "train.dataset_options"
SHA256 = 64  # hexadecimal digits


def load_arrays(config: DataConfig, data_root: str | None = None, download: bool = False) -> Arrays:
    """Load a dataset with its subset and its permutation of pixels.

    `data_root` is the folder to search instead of the default ones; `download` fetches missing files. The
    arrays must not be modified, because calls share them. Raises `ValueError` for an unknown dataset, and
    `UserError` for malformed or missing files (the message says how to get them), for options that the data
    set does not have, for what a user's function may not return, and when the dataset is too small for the
    subset.
    """
    arrays = _load_whole(config.dataset, config.options, config.split_seed, data_root, download)
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


def whole_digest(digest: str) -> str:
    """Return that part of a `data_digest` which all subsets of a dataset share."""
    return digest[-SHA256:]


def files_of(config: DataConfig, data_root: str | None = None, download: bool = False) -> list[Path] | None:
    """Return the files of a dataset without reading them, or None where they are not known.

    Raises `ValueError` for an unknown dataset, and `UserError` when files are missing or options are wrong.
    """
    _checked_function(config.dataset, config.options)
    if DATASETS.is_own(config.dataset) or not DATASETS[config.dataset].files:
        return None
    find = imported(DATASETS[config.dataset].files)
    found: list[Path] = find(
        **arguments(find, _offered(config.dataset, config.split_seed, data_root, download), {})
    )
    return found


def draws_split(dataset: str) -> bool:
    """Whether the test set of a dataset is drawn by `split_seed`, because there is no official one.

    Raises `UserError` for a user's function that cannot be imported.
    """
    return "split_seed" in taken(DATASETS.function(dataset), OFFERED)


@lru_cache(maxsize=2)
def _load_whole(dataset: str, options: str, split_seed: int, data_root: str | None, download: bool) -> Arrays:
    function = _checked_function(dataset, options)
    given = arguments(function, _offered(dataset, split_seed, data_root, download), json.loads(options))
    what = f"dataset {dataset!r}"
    try:
        found = function(**given)
    except UserError:
        raise
    except Exception as error:
        if not DATASETS.is_own(dataset) and options == "{}":
            raise
        asked = "" if options == "{}" else f" with the options {options}"
        raise UserError(f"{what}{asked} fails: {type(error).__name__}: {error}") from error
    return arrays_of(what, found, DATASETS.of_tokens(dataset))


def _checked_function(dataset: str, options: str) -> Callable[..., Any]:
    """Return the function that loads a dataset. Raises `UserError` for options that it does not take."""
    function = DATASETS.function(dataset)
    offered = _offered(dataset, 0, None, False)
    check_options(f"dataset {dataset!r}", OPTIONS, function, offered, json.loads(options))
    return function


def _offered(dataset: str, split_seed: int, data_root: str | None, download: bool) -> dict[str, Any]:
    found = {"split_seed": split_seed, "data_root": data_root, "download": download}
    return found if DATASETS.is_own(dataset) else {"dataset": dataset, **found}
