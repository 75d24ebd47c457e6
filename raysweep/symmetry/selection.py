"""From units to entries: the index along an axis that carries out a permutation, or takes some units."""

from collections.abc import Mapping

import torch

from raysweep.symmetry.groups import Axis
from raysweep.symmetry.permutation import Permutation


def axis_index(axis: Axis, permutation: Permutation) -> torch.Tensor:
    """Return the index along an axis that carries out a permutation of its segments."""
    return selection(axis, permutation.indices)


def selection(axis: Axis, indices: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the index along an axis that takes these units of each group, which may be fewer than it has."""
    parts, offset = [], 0
    for segment in axis:
        index = torch.arange(segment.size) if segment.group is None else indices[segment.group]
        if segment.repeat > 1:
            index = (index[:, None] * segment.repeat + torch.arange(segment.repeat)).reshape(-1)
        parts.append(index + offset)
        offset += segment.size
    return torch.cat(parts)
