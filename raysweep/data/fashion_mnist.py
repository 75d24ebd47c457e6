"""Fashion-MNIST, from Debian's package or from torchvision's folder (with download)."""

import gzip
import struct
from pathlib import Path

import numpy as np

from raysweep.data.arrays import Arrays
from raysweep.errors import UserError

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
DEFAULT_ROOT = Path.home() / ".cache" / "raysweep" / "data"
FILES = {"train": "train", "test": "t10k"}


def load(data_root: str | None, download: bool) -> Arrays:
    """Read the four IDX files; `data_root` is searched first, then Debian's folder, then the cache.

    Raises `UserError` when they are missing (and `download` is false) or malformed.
    """
    folder = _folder(data_root, download)
    parts = {}
    for split, stem in FILES.items():
        parts[f"{split}_images"] = _read(folder, f"{stem}-images-idx3-ubyte", 3)[:, None]
        parts[f"{split}_labels"] = _read(folder, f"{stem}-labels-idx1-ubyte", 1).astype(np.int64)
    return Arrays(**parts)


def _folder(data_root: str | None, download: bool) -> Path:
    roots = [Path(data_root)] if data_root else [DEBIAN_FOLDER, DEFAULT_ROOT]
    candidates = [folder for root in roots for folder in (root, root / "FashionMNIST" / "raw")]
    for folder in candidates:
        if any(folder.glob("train-images-idx3-ubyte*")):
            return folder
    if download:
        from torchvision.datasets import FashionMNIST

        FashionMNIST(str(roots[-1]), download=True)
        return roots[-1] / "FashionMNIST" / "raw"
    searched = ", ".join(map(str, candidates))
    raise UserError(
        f"dataset fashion_mnist: no files in {searched}; install Debian's package dataset-fashion-mnist, "
        "or set train.data_root to a folder that has them, or train.download=true"
    )


def _read(folder: Path, name: str, dimensions: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes: two zeros, type 8, the rank, the sizes, then the data."""
    plain, packed = folder / name, folder / f"{name}.gz"
    path = plain if plain.exists() else packed
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path == packed else content
    except (OSError, EOFError) as error:
        raise UserError(f"dataset file {path} cannot be read: {error}") from error
    header = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) < header:
        raise UserError(f"dataset file {path} is not an IDX file of {dimensions} dimensions of bytes")
    sizes = struct.unpack(f">{dimensions}I", content[4:header])
    data = np.frombuffer(content, np.uint8, offset=header)
    if data.size != np.prod(sizes):
        raise UserError(f"dataset file {path} is truncated: {data.size} bytes of data, expected {sizes}")
    return data.reshape(sizes).copy()  # torch wants arrays that it may write to
