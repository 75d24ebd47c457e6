"""CIFAR-10 and CIFAR-100, from the official Python version (torchvision's) or the binary version."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raysweep.data.arrays import Arrays
from raysweep.data.cifar_pickle import read_batch
from raysweep.data.files import DatasetSource, Layout, checked, find, read_bytes
from raysweep.errors import UserError

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class _Version:
    """The files of the two versions of a CIFAR dataset; in both, the last file has the test examples.

    A binary record consists of `label_bytes` labels, the last of which is the class, and of the pixels.
    """

    python: Layout
    binary: Layout
    labels_key: bytes
    label_bytes: int
    classes: int
    torchvision: str


BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
VERSIONS = {
    "cifar10": _Version(
        python=Layout("cifar-10-batches-py", BATCHES),
        binary=Layout("cifar-10-batches-bin", tuple(f"{name}.bin" for name in BATCHES)),
        labels_key=b"labels",
        label_bytes=1,
        classes=10,
        torchvision="CIFAR10",
    ),
    "cifar100": _Version(
        python=Layout("cifar-100-python", ("train", "test")),
        binary=Layout("cifar-100-binary", ("train.bin", "test.bin")),
        labels_key=b"fine_labels",
        label_bytes=2,
        classes=100,
        torchvision="CIFAR100",
    ),
}


def load(dataset: str, data_root: str | None, download: bool) -> Arrays:
    """Read `cifar10` or `cifar100`.

    Raises `UserError` when files are malformed, or are missing and not downloaded.
    """
    version = VERSIONS[dataset]
    folder, layout = _find(dataset, data_root, download)
    batches = [_read(folder / name, version, layout) for name in layout.files]
    train_images = np.concatenate([images for images, _ in batches[:-1]])
    train_labels = np.concatenate([labels for _, labels in batches[:-1]])
    return Arrays(train_images, train_labels, *batches[-1], version.classes)


def files(dataset: str, data_root: str | None, download: bool) -> list[Path]:
    """Return the files that `load` reads. Raises `UserError` when they are missing."""
    folder, layout = _find(dataset, data_root, download)
    return [folder / name for name in layout.files]


def _find(dataset: str, data_root: str | None, download: bool) -> tuple[Path, Layout]:
    version = VERSIONS[dataset]
    return find(
        DatasetSource(dataset, (version.python, version.binary), version.torchvision), data_root, download
    )


def _read(path: Path, version: _Version, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    if layout is version.python:
        pixels, labels = read_batch(path, version.labels_key)
    else:
        pixels, labels = _read_records(path, version.label_bytes)
    return checked(path, pixels.reshape(-1, *SHAPE), labels, SHAPE, version.classes)


def _read_records(path: Path, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    content = np.frombuffer(read_bytes(path), np.uint8)
    record = label_bytes + PIXELS
    if content.size % record:
        raise UserError(
            f"dataset file {path} is truncated: expected a multiple of {record} bytes, found {content.size}"
        )
    records = content.reshape(-1, record)
    return records[:, label_bytes:], records[:, label_bytes - 1]
