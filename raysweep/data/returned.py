"""What a function that loads data may return, as checked arrays."""

from typing import Any

import numpy as np

from raysweep.data.arrays import Arrays
from raysweep.data.images import is_image, pixels_of
from raysweep.errors import UserError

EXPECTED = (
    "expected four arrays (train inputs, train labels, test inputs, test labels), the same as two pairs, two "
    "datasets of torch (train, test), or raysweep.data.Arrays"
)


def arrays_of(what: str, given: object, tokens: bool = False) -> Arrays:
    """Return data as arrays that torch can use: bytes stay bytes, and all other numbers become float32.

    `what` names the data in messages. It is given as `Arrays`, as four arrays (inputs (examples, ...) and
    labels (examples,) of the training and of the test set), the same as two tuples, or as two map-style
    datasets of torch whose items are pairs of an input and a label; images of PIL become bytes (channels,
    height, width). Unless `Arrays` say how many classes there are, it is the largest training label plus one.
    Of `tokens`, inputs and labels have the shape (examples, length).

    Raises `UserError` for anything else, for empty splits, for inputs that are no finite numbers, whose shape
    is not the same in both splits or that have no axis besides that of the examples, and for labels that are
    not whole numbers from 0 to the number of classes less one, or of which the training set lacks one.
    """
    found: list[object]
    if isinstance(given, Arrays):
        found = [given.train_images, given.train_labels, given.test_images, given.test_labels]
    elif not isinstance(given, tuple | list) or len(given) not in (2, 4):
        raise UserError(f"{what} returns {_kind(given)}; {EXPECTED}")
    elif len(given) == 4:
        found = list(given)
    elif all(isinstance(each, tuple) and len(each) == 2 for each in given):
        found = [*given[0], *given[1]]
    else:
        found = [*_of(what, "train", given[0]), *_of(what, "test", given[1])]
    train, test = _inputs(what, "train", found[0]), _inputs(what, "test", found[2])
    if train.shape[1:] != test.shape[1:]:
        raise UserError(
            f"{what}: the train inputs have the shape {train.shape[1:]}, but the test inputs {test.shape[1:]}"
        )
    if train.dtype != test.dtype:
        raise UserError(f"{what}: the train inputs are {train.dtype}, but the test inputs {test.dtype}")
    train_labels = _labels(what, "train", found[1], train.shape[: 1 + tokens])
    test_labels = _labels(what, "test", found[3], test.shape[: 1 + tokens])
    classes = given.classes if isinstance(given, Arrays) else _classes(what, train_labels)
    largest = int(max(train_labels.max(), test_labels.max()))
    if largest >= classes:
        raise UserError(f"{what}: a label is {largest}, but there are {classes} classes, numbered from 0 on")
    return Arrays(train, train_labels, test, test_labels, classes)


def _of(what: str, split: str, pairs: Any) -> tuple[object, object]:
    """Return the inputs and labels of a map-style dataset."""
    indexed = hasattr(pairs, "__len__") and hasattr(pairs, "__getitem__")
    if not indexed or hasattr(pairs, "dtype"):  # one of two arrays, of which there must be four
        raise UserError(f"{what}: its {split} set is {_kind(pairs)}; {EXPECTED}")
    inputs, labels = [], []
    for number in range(len(pairs)):
        try:
            image, label = pairs[number]
        except (TypeError, ValueError) as error:
            raise UserError(f"{what}: example {number} of its {split} set is not a pair ({error})") from error
        try:
            inputs.append(pixels_of(image) if is_image(image) else np.asarray(image))
        except ValueError as error:
            raise UserError(f"{what}: example {number} of its {split} set: {error}") from error
        labels.append(label.item() if hasattr(label, "item") else label)
    return stacked(what, split, inputs), labels


def stacked(what: str, split: str, inputs: list[np.ndarray], hint: str = "") -> np.ndarray:
    """Return inputs as one array. Raises `UserError`, which ends in `hint`, where their shapes differ."""
    shapes = sorted({each.shape for each in inputs})
    if len(shapes) > 1:
        raise UserError(
            f"{what}: its {split} inputs have several shapes, such as {shapes[0]} and {shapes[-1]}{hint}"
        )
    return np.stack(inputs) if inputs else np.empty((0, 1), np.uint8)


def _inputs(what: str, split: str, given: Any) -> np.ndarray:
    found = _array(what, f"{split} inputs", given)
    if found.ndim < 2 or not found.size:
        raise UserError(
            f"{what}: its {split} inputs have the shape {found.shape}; expected (examples, ...), with "
            "at least one example and one number in each"
        )
    if found.dtype != np.uint8:
        if found.dtype.kind not in "fiub":
            raise UserError(f"{what}: its {split} inputs are {found.dtype}; expected numbers")
        with np.errstate(over="ignore"):
            found = found.astype(np.float32, copy=False)
        if not np.isfinite(found).all():
            raise UserError(f"{what}: its {split} inputs have values that are not finite as float32")
    return np.require(found, None, ["C", "W"])  # torch requires writable arrays


def _labels(what: str, split: str, given: Any, shape: tuple[int, ...]) -> np.ndarray:
    found = _array(what, f"{split} labels", given)
    if found.shape != shape:
        raise UserError(f"{what}: its {split} labels have the shape {found.shape}; expected {shape}")
    if found.dtype.kind not in "iu":
        raise UserError(f"{what}: its {split} labels are {found.dtype}; expected whole numbers from 0 on")
    if found.min() < 0:
        raise UserError(f"{what}: a {split} label is {found.min()}; expected whole numbers from 0 on")
    return found.astype(np.int64)


def _classes(what: str, labels: np.ndarray) -> int:
    classes = int(labels.max()) + 1
    present = np.unique(labels)
    if len(present) < classes:
        lacking = next(number for number, label in enumerate([*present, classes]) if number != label)
        raise UserError(
            f"{what}: no train label is {lacking}, but one is {classes - 1}; number the classes from 0 on "
            "without gaps, or return raysweep.data.Arrays, which say how many there are"
        )
    return classes


def _array(what: str, name: str, given: Any) -> np.ndarray:
    try:
        return np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{what}: its {name} are not an array: {error}") from error


def _kind(given: object) -> str:
    if isinstance(given, tuple | list):
        return f"{type(given).__name__} of {len(given)}"
    return type(given).__name__
