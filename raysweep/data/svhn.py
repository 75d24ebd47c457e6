"""SVHN, the cropped house numbers, from two MATLAB files; the `extra` images are not used."""

from pathlib import Path

import numpy as np

from raysweep.data.arrays import Arrays
from raysweep.data.files import DatasetSource, Layout, checked, find
from raysweep.errors import UserError

SHAPE = (3, 32, 32)
CLASSES = 10
FILES = ("train_32x32.mat", "test_32x32.mat")
SOURCE = DatasetSource("svhn", (Layout("svhn", FILES),), "SVHN", splits=("train", "test"))


def load(data_root: str | None, download: bool) -> Arrays:
    """Read both files. Raises `UserError` when they are malformed, or missing and not downloaded."""
    train, test = (_read(path) for path in files(data_root, download))
    return Arrays(*train, *test, CLASSES)


def files(data_root: str | None, download: bool) -> list[Path]:
    """Return the files that `load` reads. Raises `UserError` when they are missing."""
    folder, _ = find(SOURCE, data_root, download)
    return [folder / name for name in FILES]


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read X, bytes (height, width, channels, examples), and y, (examples, 1) with values from 1 to 10."""
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=["X", "y"])
    except Exception as error:  # scipy's parser may raise nearly any for a malformed file
        raise UserError(f"dataset file {path} is not a MATLAB file: {error!r}") from error
    images, labels = content.get("X"), content.get("y")
    if not (_is_array(images, "B") and _is_array(labels, np.typecodes["AllInteger"] + "fd")):
        raise UserError(f"dataset file {path}: expected X, an array of bytes, and y, an array of numbers")
    if images.ndim != 4:
        raise UserError(
            f"dataset file {path}: expected X of shape (32, 32, 3, examples), found {images.shape}"
        )
    return checked(path, images.transpose(3, 2, 0, 1), _digits(path, labels), SHAPE, CLASSES)


def _is_array(value: object, type_codes: str) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.char in type_codes


def _digits(path: Path, labels: np.ndarray) -> np.ndarray:
    """Return the digits, shape (examples,); the file has 10 for the digit 0."""
    flat = labels.ravel()
    if not np.isin(flat, np.arange(1, 11)).all():
        raise UserError(
            f"dataset file {path}: expected labels from 1 to 10, found {flat.min()} to {flat.max()}"
        )
    return flat % 10
