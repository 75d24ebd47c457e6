"""Datasets as numpy arrays, kept free of torch so that plans are made quickly."""

import hashlib
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Arrays:
    """A dataset: inputs (examples, ...) are unsigned bytes or float32, labels (examples,) are int64.

    Where inputs are sequences of tokens (examples, length), their labels (examples, length) are the tokens
    that follow.

    The shape of an input tells what it is: of images (channels, height, width), of volumes one axis more, of
    sequences (length, features), and of vectors (features,). `classes` is the number of classes of the whole
    dataset, even where a subset lacks some of them.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an input, such as (channels, height, width) of an image."""
        return self.train_images.shape[1:]


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether inputs of a shape are images (channels, height, width)."""
    return len(shape) == 3


def channel_axis(shape: tuple[int, ...]) -> int:
    """Return the axis of the channels or features: the first of images and volumes, otherwise the last."""
    return 0 if len(shape) > 2 else len(shape) - 1


def dataset_digest(arrays: Arrays) -> str:
    """Return the SHA-256 of the decoded arrays and the number of classes.

    It does not depend on the file format in which the data was packaged.
    """
    sha = hashlib.sha256()
    for field in fields(arrays):
        value = getattr(arrays, field.name)
        if isinstance(value, np.ndarray):
            sha.update(f"{field.name}{value.dtype}{value.shape}".encode())
            sha.update(np.ascontiguousarray(value).data)
        else:
            sha.update(f"{field.name}{value}".encode())
    return sha.hexdigest()
