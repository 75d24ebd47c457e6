"""Which axes of which parameters move together when hidden units are reordered."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from raysweep.symmetry.groups import Axis, Segment
from raysweep.symmetry.permutation import Permutation
from raysweep.symmetry.tracing import trace_axes

__all__ = ["Axis", "PermutationSpec", "Segment", "axis_index", "selection"]


@dataclass(frozen=True)
class PermutationSpec:
    """The axes of a network that a permutation reorders.

    `axes[name][d]` is the list of segments along axis d of a parameter or buffer, or None where the
    axis stays in place; `sizes[group]` is the number of units of a group, in the order of the network.
    `buffers` names what is permuted but never matched: buffers, and further names of a tied parameter.
    """

    axes: Mapping[str, tuple[Axis | None, ...]]
    sizes: Mapping[str, int]
    buffers: frozenset[str]

    @staticmethod
    def trace(model: nn.Module, example_input: torch.Tensor) -> "PermutationSpec":
        """Find the symmetries of a module by tracing it on an example batch.

        Raises `SpecError` naming the operation that is not understood. `prove` checks the result.
        """
        axes, sizes = trace_axes(model, example_input)
        matched = {name for name, _ in model.named_parameters()}
        return PermutationSpec(axes, sizes, frozenset(axes) - matched)

    def random(self, generator: torch.Generator) -> Permutation:
        """Draw one permutation of every group."""
        return Permutation.random(self.sizes, generator)

    def apply(self, permutation: Permutation, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the state with its units reordered; tensors in which nothing moves are shared."""
        result = dict(state)
        moving = permutation.moving()
        for name, axes in self.axes.items():
            for dimension, axis in enumerate(axes):
                if axis is not None and any(segment.group in moving for segment in axis):
                    index = axis_index(axis, permutation).to(result[name].device)
                    result[name] = result[name].index_select(dimension, index)
        return result

    def uses(self, group: str) -> list[tuple[str, int]]:
        """Return the (parameter, axis) at which a group occurs; buffers are left out."""
        return [
            (name, dimension)
            for name, axes in self.axes.items()
            if name not in self.buffers
            for dimension, axis in enumerate(axes)
            if axis is not None and any(segment.group == group for segment in axis)
        ]


def axis_index(axis: Axis, permutation: Permutation) -> torch.Tensor:
    """Return the index along an axis that carries out a permutation of its segments."""
    return selection(axis, permutation.indices)


def selection(axis: Axis, indices: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the index along an axis that takes these units of each group, which may be fewer than it has."""
    parts, offset = [], 0
    for segment in axis:
        units = segment.size // segment.repeat
        index = torch.arange(units) if segment.group is None else indices[segment.group]
        inner = torch.arange(segment.repeat)
        parts.append(offset + (index[:, None] * segment.repeat + inner).reshape(-1))
        offset += segment.size
    return torch.cat(parts)
