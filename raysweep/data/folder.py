"""Images in folders by class, as torchvision's `ImageFolder` has them, read and resized once per machine."""

import os
import uuid
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from raysweep.data import files as storage
from raysweep.data.arrays import Arrays
from raysweep.data.images import checked_size, hint_of, pixels_of
from raysweep.data.returned import stacked
from raysweep.digest import digest
from raysweep.errors import MissingFiles, UserError

TEST = ("test", "val")  # names of the folder of the test set, the first that exists
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
FORMAT = 1  # of the files that are kept, raised when what is computed from the same images changes


def files(dataset: str, data_root: str | None) -> list[Path]:
    """Return the images of both splits, sorted. Raises `MissingFiles` where a folder is missing."""
    train, test = _folders(dataset, data_root)
    return [
        path for folder in (train, test) for path, _ in _images(dataset, folder, _classes(dataset, train))
    ]


def load(
    dataset: str,
    data_root: str | None,
    size: int | list[int] | None = None,
    channels: int | None = None,
) -> Arrays:
    """Read `folder:PATH`, whose path is relative to `data_root` where that is given.

    The classes are the folders below `PATH/train`, in alphabetical order. Images are resized to `size`, and
    kept as arrays in the cache of data sets until one of them changes. Raises `MissingFiles` for missing
    folders, and `UserError` for files that are no images, for classes that only the test set has or that have
    no training images, and for images of several sizes without `size`.
    """
    wanted = checked_size(dataset, size, channels)
    train, test = _folders(dataset, data_root)
    classes = _classes(dataset, train)
    splits = {name: _images(dataset, folder, classes) for name, folder in (("train", train), ("test", test))}
    lacking = set(range(len(classes))) - {label for _, label in splits["train"]}
    if lacking:
        raise UserError(f"dataset {dataset!r}: {train / classes[min(lacking)]} has no images")
    kept = storage.DEFAULT_ROOT / "folders" / f"{_key(splits.values(), size, channels)}.npz"
    found = _read(kept)
    if found is None:
        with storage.locked(kept.parent):
            found = _read(kept)  # another process may have written it meanwhile
            if found is None:
                found = {}
                for name, images in splits.items():
                    pixels = [_pixels(dataset, path, wanted, channels) for path, _ in images]
                    found[name] = stacked(f"dataset {dataset!r}", name, pixels, hint_of(pixels))
                _write(kept, found)
    labels = {name: np.array([label for _, label in images], np.int64) for name, images in splits.items()}
    return Arrays(found["train"], labels["train"], found["test"], labels["test"], len(classes))


def _folders(dataset: str, data_root: str | None) -> tuple[Path, Path]:
    path = Path(data_root or "", dataset.partition(":")[2]).absolute()
    test = next((path / name for name in TEST if (path / name).is_dir()), None)
    if test is None or not (path / "train").is_dir():
        raise MissingFiles(
            f"dataset {dataset!r}: {path} has no folders train and test (or val) with a folder for each class"
        )
    return path / "train", test


def _classes(dataset: str, train: Path) -> list[str]:
    found = _named(train)
    if not found:
        raise UserError(f"dataset {dataset!r}: {train} has no folder for each class")
    return found


def _named(folder: Path) -> list[str]:
    """Return the folders in a folder by name; programs that look into it leave hidden ones there."""
    return sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def _images(dataset: str, folder: Path, classes: list[str]) -> list[tuple[Path, int]]:
    """Return the images of a split with their labels, by class and by name."""
    unknown = [name for name in _named(folder) if name not in classes]
    if unknown:
        raise UserError(f"dataset {dataset!r}: {folder} has the class {unknown[0]!r}, which train lacks")
    return [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((folder / name).rglob("*"))
        if path.suffix.lower() in SUFFIXES
    ]


def _key(splits: Iterable[list[tuple[Path, int]]], size: object, channels: int | None) -> str:
    """Return a digest of what the arrays are computed from: the names, sizes and times of all images."""
    import PIL

    stamps = [
        [str(path), stat.st_size, stat.st_mtime_ns]
        for images in splits
        for path, _ in images
        for stat in [path.stat()]
    ]
    return digest([FORMAT, PIL.__version__, size, channels, stamps])


def _pixels(dataset: str, path: Path, size: tuple[int, int] | None, channels: int | None) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return pixels_of(image, size, channels)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"dataset {dataset!r}: {path} cannot be read as an image: {error}") from error


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """Return the arrays that were kept, or None where there are none that can be read."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in ("train", "test")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write to a temporary file first, so that nobody ever finds half of one."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.npz")
    try:
        np.savez(temporary, train=arrays["train"], test=arrays["test"])
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
