"""Datasets as scaled tensors that stay on one device."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from raysweep.data.arrays import Arrays, channel_axis
from raysweep.data.scaling import Scaling


class ImagesWritten(RuntimeError):
    """A network modified its input images, which all networks of the process share."""


@contextmanager
def unwritten(images: torch.Tensor) -> Iterator[None]:
    """Raise `ImagesWritten` at the end of the context if these images or views of them were modified."""
    version = images._version
    yield
    if images._version != version:
        raise ImagesWritten("the network writes into the images that it is given: x = x - 1, not x -= 1")


@dataclass(frozen=True)
class Split:
    """Scaled inputs, float32 (examples, ...) as in `Arrays`, and their labels, int64 (examples,)."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, examples: int) -> "Split":
        """Return the first examples of the split, as views."""
        return Split(self.images[:examples], self.labels[:examples])


@dataclass(frozen=True)
class Resident:
    """Both splits of a dataset on one device.

    `black`, float32 (channels,), is the scaled value of the number 0, with which augmentation pads images.
    """

    train: Split
    test: Split
    black: torch.Tensor
    classes: int


def make_resident(arrays: Arrays, device: torch.device, scaling: Scaling) -> Resident:
    """Move a dataset to the device and scale its pixels; see `raysweep.data.scaling.scaling_of`."""
    black = np.zeros((1, *_by_channel(arrays.shape, len(scaling.scale))), np.uint8)
    return Resident(
        Split(
            _scaled(arrays.train_images, device, scaling), torch.from_numpy(arrays.train_labels).to(device)
        ),
        Split(_scaled(arrays.test_images, device, scaling), torch.from_numpy(arrays.test_labels).to(device)),
        _scaled(black, device, scaling).flatten(),
        arrays.classes,
    )


def _scaled(images: np.ndarray, device: torch.device, scaling: Scaling) -> torch.Tensor:
    inputs = torch.from_numpy(images).to(device).to(torch.float32)  # the transfer is of bytes, not of floats
    offset, scale = (
        torch.tensor(values, dtype=torch.float32, device=device).view(_by_channel(images.shape[1:], -1))
        for values in (scaling.offset, scaling.scale)
    )
    return inputs.sub_(offset).div_(scale)


def _by_channel(shape: tuple[int, ...], count: int) -> list[int]:
    """Return the shape of one number per channel that applies to inputs of a shape."""
    return [count if axis == channel_axis(shape) else 1 for axis in range(len(shape))]
