"""Datasets as normalised tensors that stay on the device."""

from dataclasses import dataclass

import torch

from raysweep.data.arrays import Arrays


@dataclass(frozen=True)
class Split:
    """Images float32 (examples, channels, height, width), from 0 to 1; labels int64."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, examples: int) -> "Split":
        return Split(self.images[:examples], self.labels[:examples])


@dataclass(frozen=True)
class Resident:
    """Both splits of a dataset on one device."""

    train: Split
    test: Split


def make_resident(arrays: Arrays, device: torch.device) -> Resident:
    """Move a dataset to the device, scaled so that the largest training pixel is 1."""
    train = torch.from_numpy(arrays.train_images).to(device, torch.float32)
    test = torch.from_numpy(arrays.test_images).to(device, torch.float32)
    largest = train.max()
    train.div_(largest)
    test.div_(largest)
    return Resident(
        Split(train, torch.from_numpy(arrays.train_labels).to(device)),
        Split(test, torch.from_numpy(arrays.test_labels).to(device)),
    )
