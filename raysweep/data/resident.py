"""Datasets as scaled tensors that stay on one device."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from raysweep.data.arrays import Arrays, channel_axis
from raysweep.data.scaling import Scaling


class ImagesWritten(RuntimeError):
    """A network modified its input images, which all networks of the process share."""


@contextmanager
def unwritten(images: torch.Tensor) -> Iterator[None]:
    """Raise `ImagesWritten` at the end of the context if these images or views of them were modified.

    Images from `torch.inference_mode` do not count what modifies them, and are not checked.
    """
    version = None if images.is_inference() else images._version
    yield
    if version is not None and images._version != version:
        raise ImagesWritten("the network writes into the images that it is given: x = x - 1, not x -= 1")


@dataclass(frozen=True)
class Split:
    """Scaled inputs, float32 (examples, ...), and their labels, int64, as in `Arrays`."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, examples: int) -> "Split":
        """Return the first examples of the split, as views."""
        return Split(self.images[:examples], self.labels[:examples])


@dataclass(frozen=True)
class Resident:
    """Both splits of a dataset on one device, or its test set there and its training examples `Streamed`.

    `black`, float32 (channels,), is the scaled value of the number 0, with which augmentation pads images.
    """

    train: "Split | Streamed"
    test: Split
    black: torch.Tensor
    classes: int

    @property
    def device(self) -> torch.device:
        return self.test.images.device


@dataclass(frozen=True)
class _Change:
    """A scaling on a device: tensors that apply to inputs of its data set."""

    offset: torch.Tensor
    scale: torch.Tensor


class Streamed:
    """Training examples that stay in the memory of the host, because they do not fit on the device.

    What is brought to the device has the bits that it has in a `Split` there.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, change: _Change) -> None:
        self._images, self._labels = torch.from_numpy(images), torch.from_numpy(labels)
        self._change, self._device = change, change.scale.device
        self._first: dict[int, Split] = {}

    def __len__(self) -> int:
        return len(self._labels)

    def first(self, examples: int) -> Split:
        """Return the first examples, which lie on the device from then on."""
        if examples not in self._first:
            self._first[examples] = self.chosen(torch.arange(min(examples, len(self))))
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)  # streams that read them later need not wait
        return self._first[examples]

    def chosen(self, examples: torch.Tensor) -> Split:
        """Return examples by their indices, int64 (examples,), on the host.

        They are gathered in pinned memory and sent on a stream of their own, so that a GPU receives them
        while it computes what was queued before, and the host does not wait.
        """
        images, labels = (self._gathered(whole, examples) for whole in (self._images, self._labels))
        if self._device.type != "cuda":
            return Split(_scaled(images, self._change), labels)
        here, sending = torch.cuda.current_stream(self._device), _sending_stream(self._device)
        with torch.cuda.stream(sending):
            sent = [each.to(self._device, non_blocking=True) for each in (images, labels)]
        here.wait_stream(sending)
        for each in sent:
            each.record_stream(here)
        return Split(_scaled(sent[0], self._change), sent[1])

    def _gathered(self, whole: torch.Tensor, examples: torch.Tensor) -> torch.Tensor:
        shape, pinned = (len(examples), *whole.shape[1:]), self._device.type == "cuda"
        return torch.index_select(
            whole, 0, examples, out=torch.empty(shape, dtype=whole.dtype, pin_memory=pinned)
        )

    def window(self, rows: int) -> "Window":
        """Return room for so many examples on the device."""
        shape = (rows, *self._images.shape[1:])
        images = torch.empty(shape, dtype=torch.float32, device=self._device)
        labels = torch.empty((rows, *self._labels.shape[1:]), dtype=torch.int64, device=self._device)
        return Window(self, Split(images, labels))


@dataclass(frozen=True)
class Window:
    """Rows on the device that hold some of the streamed examples; they stay where they are in memory."""

    data: Streamed
    split: Split

    def fill(self, examples: torch.Tensor) -> None:
        """Bring examples, by their indices on the host, int64 (examples,), into the first rows."""
        chosen = self.data.chosen(examples)
        self.split.images[: len(examples)] = chosen.images
        self.split.labels[: len(examples)] = chosen.labels


@lru_cache(maxsize=1)
def _sending_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def make_resident(arrays: Arrays, device: torch.device, scaling: Scaling, streams: bool = False) -> Resident:
    """Move a dataset to the device and scale its inputs; see `raysweep.data.scaling.scaling_of`.

    Where it `streams`, the training examples stay on the host.
    """
    change = _change(scaling, arrays.shape, device)
    black = np.zeros((1, *_by_channel(arrays.shape, len(scaling.scale))), np.uint8)
    return Resident(
        (Streamed if streams else _split)(arrays.train_images, arrays.train_labels, change),
        _split(arrays.test_images, arrays.test_labels, change),
        _scaled(torch.from_numpy(black), change).flatten(),
        arrays.classes,
    )


def _split(images: np.ndarray, labels: np.ndarray, change: _Change) -> Split:
    device = change.scale.device
    return Split(_scaled(torch.from_numpy(images), change), torch.from_numpy(labels).to(device))


def _scaled(images: torch.Tensor, change: _Change) -> torch.Tensor:
    device = change.scale.device
    inputs = images.to(device).to(torch.float32, copy=True)  # the transfer is of bytes, not of floats
    return inputs.sub_(change.offset).div_(change.scale)


def _change(scaling: Scaling, shape: tuple[int, ...], device: torch.device) -> _Change:
    offset, scale = (
        torch.tensor(values, dtype=torch.float32).view(_by_channel(shape, -1)).to(device)
        for values in (scaling.offset, scaling.scale)
    )
    return _Change(offset, scale)


def _by_channel(shape: tuple[int, ...], count: int) -> list[int]:
    """Return the shape of one number per channel that applies to inputs of a shape."""
    return [count if axis == channel_axis(shape) else 1 for axis in range(len(shape))]
