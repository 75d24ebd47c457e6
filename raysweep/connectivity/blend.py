"""Weighted sums of tensors in which a mixture of equal tensors is that tensor, bit for bit.

Each tensor is mixed into the mixture of those before it, by its share of the weight up to it. A plain sum of
three thirds would round, and a mixture of a network with itself would be another network.
"""

from collections.abc import Sequence

import numpy as np
import torch


def blend(tensors: Sequence[torch.Tensor], parts: np.ndarray, out: torch.Tensor) -> torch.Tensor:
    """Write the mixture of tensors and return it; `parts` (networks,) are the `shares` of their weights."""
    mixed = tensors[0]
    for tensor, part in zip(tensors[1:], parts[1:].tolist(), strict=True):
        mixed = torch.lerp(mixed, tensor, part, out=out)
    return mixed if mixed is out else out.copy_(mixed)


def blend_rows(stacked: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    """Return the mixtures of a stack (networks, ...) for all rows of weights, shape (points, ...)."""
    parts = torch.from_numpy(shares(rows)).to(stacked)
    mixed = stacked[0].expand(len(rows), *stacked.shape[1:])
    for index in range(1, len(stacked)):
        part = parts[:, index].reshape(-1, *(1,) * (stacked.dim() - 1))
        mixed = torch.lerp(mixed, stacked[index], part)
    return mixed


def shares(rows: np.ndarray) -> np.ndarray:
    """Return each weight divided by the sum of the weights up to it, in float64, of the shape of `rows`.

    `rows` has the shape (..., networks) and sums to one along the last axis. Raises `ValueError` if a weight
    of three or more networks is negative: a sum up to it could be zero. A line through two networks may go
    past its ends.
    """
    if rows.shape[-1] > 2 and (rows < 0).any():
        raise ValueError("weights of three or more networks must not be negative")
    total = rows.cumsum(axis=-1)
    total[..., -1] = 1.0  # not a number beside it, by rounding
    found: np.ndarray = np.divide(rows, total, out=np.zeros_like(total), where=total != 0)
    return found
