"""Which axes of which parameters move together when hidden units are reordered."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from raysweep.symmetry.groups import Axis, Segment, length
from raysweep.symmetry.left_alone import LeftAlone
from raysweep.symmetry.permutation import Permutation
from raysweep.symmetry.proof import prove
from raysweep.symmetry.selection import axis_index
from raysweep.symmetry.tracing import trace_axes

__all__ = ["Axis", "PermutationSpec", "Segment"]


@dataclass(frozen=True)
class PermutationSpec:
    """The axes of a network that a permutation reorders.

    `axes[name][d]` is the list of segments along axis d of a parameter or buffer, or None where the
    axis stays in place; a parameter that training alone reads, as of an auxiliary head, has no entry, for the
    symmetries are those of the network in evaluation mode. `sizes[group]` is the number of units of a group,
    in the order of the network.
    `buffers` names what is permuted but never matched: buffers, and further names of a tied parameter.
    `left_alone` lists the hidden units that stay in place, with the reason; what the network takes in and
    puts out is not hidden.
    """

    axes: Mapping[str, tuple[Axis | None, ...]]
    sizes: Mapping[str, int]
    buffers: frozenset[str]
    left_alone: tuple[LeftAlone, ...] = ()

    @staticmethod
    def trace(model: nn.Module, example_input: torch.Tensor, *, proved: bool = True) -> "PermutationSpec":
        """Find the symmetries of a module by tracing it on an example batch, and prove them numerically.

        `example_input` is what the module takes, along a first axis of examples (two are enough); only its
        shape and type matter for most networks. The module is not changed. The proof (see `prove`) takes a
        few times as long as running the network forwards and backwards in float64; `proved=False` leaves it
        to the caller.

        Raises `SpecError` naming the operation, parameter or group that is not understood: attention, for
        example, is refused.
        """
        axes, sizes, left_alone = trace_axes(model, example_input)
        matched = {name for name, _ in model.named_parameters()}
        spec = PermutationSpec(axes, sizes, frozenset(axes) - matched, left_alone)
        if proved:
            prove(spec, model, example_input)
        return spec

    def random(self, generator: torch.Generator) -> Permutation:
        """Draw one permutation of every group."""
        return Permutation.random(self.sizes, generator)

    def apply(self, permutation: Permutation, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the state with its units reordered; tensors in which nothing moves are shared.

        `state` holds tensors by name, as `state_dict` returns them; names that the spec does not have are
        passed through. Raises `ValueError` for a permutation of other groups or sizes than the spec's, and
        for a tensor that has to move and is missing or of another size.
        """
        self.check(permutation)
        result = dict(state)
        moving = permutation.moving()
        for name, axes in self.axes.items():
            for dimension, axis in enumerate(axes):
                if axis is not None and any(segment.group in moving for segment in axis):
                    _check_size(result, name, dimension, axis)
                    index = axis_index(axis, permutation).to(result[name].device)
                    result[name] = result[name].index_select(dimension, index)
        return result

    def check(self, permutation: Permutation) -> None:
        """Raise `ValueError` unless the permutation has the groups of this spec, each of its size."""
        sizes = permutation.sizes()
        if sizes == self.sizes:
            return
        wrong = next(g for g in (*self.sizes, *sizes) if sizes.get(g) != self.sizes.get(g))
        raise ValueError(
            f"a permutation of other units: group {wrong} has {sizes.get(wrong, 'no')} units in the "
            f"permutation and {self.sizes.get(wrong, 'none')} in the network"
        )

    def check_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Raise `ValueError` unless the state has every tensor of this spec, in its size where units lie."""
        for name, axes in self.axes.items():
            for dimension, axis in enumerate(axes):
                if axis is not None:
                    _check_size(state, name, dimension, axis)

    def uses(self, group: str) -> list[tuple[str, int]]:
        """Return the (parameter, axis) at which a group occurs; buffers are left out.

        Empty for a group that the network does not have.
        """
        return [
            (name, dimension)
            for name, axes in self.axes.items()
            if name not in self.buffers
            for dimension, axis in enumerate(axes)
            if axis is not None and any(segment.group == group for segment in axis)
        ]


def _check_size(state: Mapping[str, torch.Tensor], name: str, dimension: int, axis: Axis) -> None:
    if name not in state:
        raise ValueError(f"the state has no tensor {name}")
    tensor, size = state[name], length(axis)
    if tensor.dim() <= dimension or tensor.shape[dimension] != size:
        raise ValueError(
            f"tensor {name}: expected {size} entries along axis {dimension}, not {tuple(tensor.shape)}"
        )
