"""MNIST and Fashion-MNIST: four IDX files, plain or gzipped."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from raysweep.data.arrays import Arrays
from raysweep.data.files import DatasetSource, Layout, checked, existing, find, read_bytes
from raysweep.errors import UserError

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
SHAPE = (1, 28, 28)
CLASSES = 10
IMAGES = "{}-images-idx3-ubyte"
LABELS = "{}-labels-idx1-ubyte"
FILES = tuple(name.format(stem) for stem in ("train", "t10k") for name in (IMAGES, LABELS))

SOURCES = {
    "mnist": DatasetSource("mnist", (Layout("MNIST/raw", FILES, gzipped=True),), "MNIST"),
    "fashion_mnist": DatasetSource(
        "fashion_mnist",
        (Layout("FashionMNIST/raw", FILES, gzipped=True),),
        "FashionMNIST",
        system=(DEBIAN_FOLDER,),
        hint="install Debian's package dataset-fashion-mnist, or ",
    ),
}


def load(dataset: str, data_root: str | None, download: bool) -> Arrays:
    """Read the four files of `mnist` or `fashion_mnist`.

    Raises `UserError` when they are malformed, or are missing and not downloaded.
    """
    folder, _ = find(SOURCES[dataset], data_root, download)
    return Arrays(*_read_split(folder, "train"), *_read_split(folder, "t10k"), CLASSES)


def files(dataset: str, data_root: str | None, download: bool) -> list[Path]:
    """Return the files that `load` reads. Raises `UserError` when they are missing."""
    folder, layout = find(SOURCES[dataset], data_root, download)
    return [existing(folder, name) or folder / name for name in layout.files]


def _read_split(folder: Path, stem: str) -> tuple[np.ndarray, np.ndarray]:
    images, _ = _read(folder, IMAGES.format(stem), 3)
    labels, path = _read(folder, LABELS.format(stem), 1)
    return checked(path, images[:, None], labels, SHAPE, CLASSES)


def _read(folder: Path, name: str, dimensions: int) -> tuple[np.ndarray, Path]:
    """Read an IDX file of unsigned bytes: two zeros, the type 8, the rank, the sizes, and the data."""
    path = existing(folder, name) or folder / name
    content = _content(path)
    header = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) < header:
        raise UserError(f"dataset file {path} is not an IDX file of {dimensions} dimensions of bytes")
    sizes = struct.unpack(f">{dimensions}I", content[4:header])
    data = np.frombuffer(content, np.uint8, offset=header)
    if data.size != math.prod(sizes):
        state = "truncated" if data.size < math.prod(sizes) else "too long"
        raise UserError(f"dataset file {path} is {state}: {data.size} bytes of data, expected {sizes}")
    return data.reshape(sizes), path


def _content(path: Path) -> bytes:
    content = read_bytes(path)
    try:
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"dataset file {path} cannot be decompressed: {error}") from error
