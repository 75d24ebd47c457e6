"""Reads the pickled batches of CIFAR-10 and CIFAR-100 without running any code that a pickle names."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from raysweep.data.files import read_bytes
from raysweep.errors import UserError


def read_batch(path: Path, labels_key: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of a batch, bytes of shape (examples, 3072), and its labels, int64 (examples,).

    Raises `UserError` when the file cannot be read, is malformed, or holds anything other than numbers,
    bytes, containers and arrays of bytes.
    """
    content = read_bytes(path)
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # according to Python's documentation, a malformed pickle may raise any
        raise UserError(f"dataset file {path} is not a batch of CIFAR: {error!r}") from error
    if not isinstance(batch, dict) or not {b"data", labels_key} <= batch.keys():
        raise UserError(f"dataset file {path}: expected a dictionary with b'data' and {labels_key!r}")
    return _images(path, batch[b"data"]), _labels(path, batch[labels_key])


def _images(path: Path, data: Any) -> np.ndarray:
    pixels = data.value if isinstance(data, _Array) else None
    if pixels is None or pixels.ndim != 2 or pixels.shape[1] != 3072:
        found = type(data).__name__ if pixels is None else pixels.shape
        raise UserError(f"dataset file {path}: expected data of shape (examples, 3072), found {found}")
    return pixels


def _labels(path: Path, labels: Any) -> np.ndarray:
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise UserError(f"dataset file {path}: expected a list of integers as labels")
    try:
        return np.array(labels, np.int64)
    except OverflowError as error:
        raise UserError(f"dataset file {path}: a label is too large: {error}") from error


# The classes and functions that a batch names are replaced by the following, which only keep bytes. No pickle
# in a dataset folder is trusted, and even numpy's own reconstruction can be tricked into reading object
# pointers from raw bytes. torchvision compares MD5 sums instead, which rejects harmless repackagings.


class _Array:
    """Replaces numpy.ndarray: an array of unsigned bytes."""

    value: np.ndarray | None = None

    def __setstate__(self, state: tuple[int, tuple[int, ...], "_Type", bool, bytes]) -> None:
        _, shape, _, is_fortran, content = state
        self.value = np.frombuffer(content, np.uint8).reshape(shape, order="F" if is_fortran else "C")


class _Type:
    """Replaces numpy.dtype: unsigned bytes and no other type."""

    def __init__(self, code: bytes | str, *_: Any) -> None:
        if code not in (b"u1", "u1"):
            raise pickle.UnpicklingError(f"arrays of type {code!r} are not images")

    def __setstate__(self, state: Any) -> None:
        """Ignore the byte order and other details that do not apply to single bytes."""


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    """Replaces _codecs.encode, with which Python 3 pickles bytes in the protocol of Python 2."""
    if encoding not in (b"latin1", "latin1"):
        raise pickle.UnpicklingError(f"bytes encoded as {encoding!r}")
    return text.encode("latin1")


_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed here")
        return _ALLOWED[module, name]
