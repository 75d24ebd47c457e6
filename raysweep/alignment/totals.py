"""Sums of numbers that lie on a device."""

from collections.abc import Iterable

import torch


def total(values: Iterable[torch.Tensor]) -> float:
    """Return the sum of scalars in float64, which are fetched from their device together.

    Fetching them one by one would wait for the device as often. They are added here, in order, so that the
    result on the CPU is that of adding Python's floats.
    """
    listed = list(values)
    return sum(torch.stack(listed).cpu().tolist()) if listed else 0.0
