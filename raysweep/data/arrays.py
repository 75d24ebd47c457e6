"""Datasets as numpy arrays, kept free of torch so that plans are made quickly."""

import hashlib
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Arrays:
    """A dataset: images are unsigned bytes of shape (examples, channels, height, width), labels are int64.

    `classes` is the number of classes of the whole dataset, even where a subset lacks some of them.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width


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
