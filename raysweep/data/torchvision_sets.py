"""Data sets of images by their names in torchvision."""

import inspect
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from raysweep.choices import valid_choices
from raysweep.data import files as storage
from raysweep.data.arrays import Arrays
from raysweep.data.images import checked_size, hint_of, is_image, pixels_of
from raysweep.data.returned import stacked
from raysweep.errors import MissingFiles, UserError

TEST_SPLITS = ("test", "val", "valid")  # values of torchvision's argument `split`, the first that it knows


def load(
    dataset: str,
    data_root: str | None,
    download: bool,
    size: int | list[int] | None = None,
    channels: int | None = None,
    arguments: dict[str, Any] | None = None,
) -> Arrays:
    """Read `torchvision:NAME`: a class of torchvision.datasets with an argument `train` or `split`.

    Its items must be pairs of an image of PIL and a class. Images are resized to `size` and converted to so
    many `channels`; `arguments` are further arguments of the class. Raises `MissingFiles` for files that are
    neither found nor downloaded, and `UserError` for a class that has no such items or no test set, and for
    images of several sizes without `size`.
    """
    what, wanted = f"dataset {dataset!r}", checked_size(dataset, size, channels)
    cls = _class(what, dataset.partition(":")[2])
    taken = _parameters(cls)
    choices: list[list[dict[str, Any]]]
    if "train" in taken:
        choices = [[{"train": True}], [{"train": False}]]
    elif "split" in taken:
        choices = [[{"split": "train"}], [{"split": name} for name in TEST_SPLITS]]
    else:
        raise UserError(
            f"{what}: this class of torchvision does not tell a training set from a test set; return both "
            "from a function of your own"
        )
    root = Path(data_root) if data_root else storage.DEFAULT_ROOT
    given = dict(arguments or {}) | ({"download": download} if "download" in taken else {})
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for name, splits in zip(("train", "test"), choices, strict=True):
        with storage.locked(root) if download else nullcontext():  # downloads exclude one another
            pairs = _open(what, cls, root, given, splits)
        found.append(_read(what, name, pairs, wanted, channels))
    train, test = found
    return Arrays(*train, *test, int(train[1].max()) + 1)


def _class(what: str, name: str) -> Any:
    import torchvision.datasets as available

    if name not in available.__all__ or not issubclass(getattr(available, name), available.VisionDataset):
        raise UserError(f"{what}: torchvision has no such data set; {valid_choices(name, available.__all__)}")
    return getattr(available, name)


def _parameters(cls: Any) -> set[str]:
    """Return the parameters of a class, with those that it hands on to the classes that it derives from."""
    found: set[str] = set()
    for each in cls.__mro__:
        parameters = inspect.signature(each.__init__).parameters
        found.update(parameters)
        if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    return found


def _open(what: str, cls: Any, root: Path, given: dict[str, Any], splits: list[dict[str, Any]]) -> Any:
    """Return the first of these splits that the class knows."""
    for split in splits:
        try:
            return cls(str(root), **{**given, **split})
        except ValueError as error:
            unknown = error
        except TypeError as error:
            raise UserError(f"{what}: train.dataset_options.arguments: {error}") from error
        except (RuntimeError, OSError) as error:
            raise MissingFiles(
                f"{what}: {error}; looked in {root}: {_packed(root, cls)}set train.data_root to the folder "
                "that has the files, or train.download=true"
            ) from error
    raise UserError(f"{what}: {unknown}")


def _packed(root: Path, cls: Any) -> str:
    """Return what to do with files that lie where torchvision looks, but that it reads unpacked."""
    raw = root / cls.__name__ / "raw"  # of MNIST and its relatives
    return f"gunzip {raw}/*.gz, or " if any(raw.glob("*.gz")) else ""


def _read(
    what: str, split: str, pairs: Any, size: tuple[int, int] | None, channels: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and the labels of a split, in its order."""
    images, labels = [], []
    for number in range(len(pairs)):
        item = pairs[number]
        pair = isinstance(item, tuple) and len(item) == 2
        if not pair or not is_image(item[0]) or not isinstance(item[1], int):
            raise UserError(f"{what}: its items are not pairs of an image and a class")
        try:
            images.append(pixels_of(item[0], size, channels))
        except ValueError as error:
            raise UserError(f"{what}: example {number} of its {split} set: {error}") from error
        labels.append(item[1])
    return stacked(what, split, images, hint_of(images)), np.array(labels, np.int64)
