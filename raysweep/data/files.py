"""Finding, downloading and checking the files of datasets."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raysweep.errors import MissingFiles, UserError

DEFAULT_ROOT = Path.home() / ".cache" / "raysweep" / "data"


@dataclass(frozen=True)
class Layout:
    """The names of all files of a dataset, which lie in `folder` below a root or in the root itself.

    Where they may be `gzipped`, each has the suffix .gz or not.
    """

    folder: str
    files: tuple[str, ...]
    gzipped: bool = False

    def is_in(self, folder: Path) -> bool:
        return all(
            existing(folder, name) if self.gzipped else (folder / name).is_file() for name in self.files
        )


@dataclass(frozen=True)
class DatasetSource:
    """Where a dataset may come from: the layouts to look for, and torchvision's class for the download.

    `system` lists folders of installed packages, which are searched when no `data_root` is given; `hint`
    names the package in a message. `splits` lists the values of the argument `split` with which
    torchvision's class must be called, if it has this argument.
    """

    dataset: str
    layouts: tuple[Layout, ...]
    torchvision: str
    splits: tuple[str, ...] = ()
    system: tuple[Path, ...] = ()
    hint: str = ""


def none() -> list[Path]:
    """Return the files of data that are computed: there are none."""
    return []


def existing(folder: Path, name: str) -> Path | None:
    """Return the file of this name, with or without the suffix .gz, or None when there is none."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def find(source: DatasetSource, data_root: str | None, download: bool) -> tuple[Path, Layout]:
    """Return the first folder with a complete layout of the dataset, and that layout.

    Searches `data_root` if it is given, or else the system's folders and the default cache. A download goes
    to `data_root` or to the cache. Raises `MissingFiles`, or `UserError` when a download fails.
    """
    roots = [Path(data_root)] if data_root else [*source.system, DEFAULT_ROOT]
    found = _search(source, roots)
    if found is None and download:
        with locked(roots[-1]):
            if _search(source, roots) is None:  # another process may have downloaded it meanwhile
                _download(source, roots[-1])
        found = _search(source, roots)
    if found is None:
        raise MissingFiles(_missing(source, roots))
    return found


def _candidates(source: DatasetSource, roots: Sequence[Path]) -> list[tuple[Path, Layout]]:
    # The layout's folder comes first, because the root may hold another dataset's files of the same names.
    return [
        (folder, layout)
        for root in roots
        for layout in source.layouts
        for folder in dict.fromkeys((root / layout.folder, root))
    ]


def _search(source: DatasetSource, roots: Sequence[Path]) -> tuple[Path, Layout] | None:
    complete = (found for found in _candidates(source, roots) if found[1].is_in(found[0]))
    return next(complete, None)


def _missing(source: DatasetSource, roots: Sequence[Path]) -> str:
    folders = ", ".join(dict.fromkeys(str(folder) for folder, _ in _candidates(source, roots)))
    required = ", or ".join(" ".join(layout.files) for layout in source.layouts)
    return (
        f"dataset {source.dataset}: no folder among {folders} has all the files ({required}); {source.hint}"
        "set train.data_root to a folder that has them, or train.download=true"
    )


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Exclude other writers to a folder. Raises `UserError` when it cannot be written."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        file = (root / ".download").open("a")
    except OSError as error:
        raise UserError(f"{root} cannot be written: {error}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(source: DatasetSource, root: Path) -> None:
    """Download to a temporary folder first, so that nobody ever finds half of a file."""
    import torchvision.datasets

    dataset = getattr(torchvision.datasets, source.torchvision)
    try:
        with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as folder:
            for split in source.splits:
                dataset(folder, split=split, download=True)
            if not source.splits:
                dataset(folder, download=True)
            _move(source, Path(folder), root)
    except (OSError, RuntimeError) as error:
        raise UserError(f"dataset {source.dataset} cannot be downloaded into {root}: {error}") from error


def _move(source: DatasetSource, folder: Path, root: Path) -> None:
    found = _search(source, [folder])
    if found is None:
        raise RuntimeError(f"torchvision's {source.torchvision} lacks some of the files that it should have")
    origin, layout = found
    target = root / origin.relative_to(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name in layout.files:
        path = existing(origin, name)
        assert path is not None
        os.replace(path, target / path.name)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file. Raises `UserError` when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"dataset file {path} cannot be read: {error}") from error


def checked(
    path: Path, images: np.ndarray, labels: np.ndarray, shape: tuple[int, int, int], classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return images as writable C-contiguous bytes (examples, *shape), and labels as int64 (examples,).

    Raises `UserError`, naming the file `path`, when there are no images, when the images have another shape,
    when the number of labels differs from the number of images, or when a label is not in 0 to `classes` - 1.
    """
    if len(images) == 0 or images.shape[1:] != shape:
        raise UserError(
            f"dataset file {path}: expected images of shape (1 or more, {', '.join(map(str, shape))}), "
            f"found {images.shape}"
        )
    if labels.shape != images.shape[:1]:
        raise UserError(f"dataset file {path}: expected {len(images)} labels, found shape {labels.shape}")
    if labels.min() < 0 or labels.max() >= classes:
        raise UserError(
            f"dataset file {path}: expected labels from 0 to {classes - 1}, "
            f"found {labels.min()} to {labels.max()}"
        )
    # torch requires writable arrays
    return np.require(images, np.uint8, ["C", "W"]), labels.astype(np.int64)
