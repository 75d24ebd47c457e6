"""The text of Python's own documentation that `help` reads, as sequences of characters.

It comes with every Python (`pydoc_data`, PSF licence); releases of Python have texts of their own, and so
other digests.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from raysweep.data.arrays import Arrays
from raysweep.errors import UserError

TEST_PART = 10  # the last tenth of the sequences is the test set


def files() -> list[Path]:
    """Return the file that `load` reads, without importing it."""
    spec = find_spec("pydoc_data.topics")
    assert spec
    assert spec.origin
    return [Path(spec.origin)]


def load(length: int = 64) -> Arrays:
    """Return sequences of `length` characters, bytes, whose labels are the characters that follow each.

    Both have the shape (examples, length); a character is its number among those of the text, in their order.
    Raises `UserError` for a length that leaves fewer than ten sequences.
    """
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics))
    characters, numbers = np.unique(np.array(list(text)), return_inverse=True)
    count = (len(numbers) - 1) // length if isinstance(length, int) and length > 0 else 0
    if count < TEST_PART:
        raise UserError(
            f"train.dataset_options.length = {length!r}: expected a number of characters from 1 to "
            f"{(len(numbers) - 1) // TEST_PART}"
        )
    inputs, labels = (numbers[first : first + count * length].reshape(count, length) for first in range(2))
    train = count - count // TEST_PART
    images = inputs.astype(np.uint8)
    following = labels.astype(np.int64)
    return Arrays(images[:train], following[:train], images[train:], following[train:], len(characters))
