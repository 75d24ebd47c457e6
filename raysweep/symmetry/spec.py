"""Which axes of which parameters move together when hidden units are reordered."""

import warnings
from dataclasses import dataclass, replace

import torch
from torch import nn

from raysweep.models.compiled import unwrapped
from raysweep.symmetry.find_rotations import find_rotations
from raysweep.symmetry.find_scalings import find_scalings
from raysweep.symmetry.proof import prove
from raysweep.symmetry.structure import Structure
from raysweep.symmetry.tracing import trace_axes


@dataclass(frozen=True)
class PermutationSpec(Structure):
    """The structure of a network (see `Structure`), as it is found by tracing and proved."""

    @staticmethod
    def trace(model: nn.Module, example_input: torch.Tensor, *, proved: bool = True) -> "PermutationSpec":
        """Find the symmetries of a module by tracing it on an example batch, and prove them numerically.

        `example_input` is an input of the module with a first axis of examples (two are enough); for most
        networks only its shape and type matter. The module is not changed. The proof (see `prove`) takes a
        few times as long as running the network forwards and backwards in float64; `proved=False` leaves it
        to the caller. Where no hidden unit can be moved, a proved spec comes with a warning. A network that
        torch.compile or DataParallel wraps is traced without the wrapper.

        Hidden units that reach an operation which is not understood stay in place (see `left_alone`). Raises
        `SpecError` for a network that fails or has a parameter that is never used, and where the proof fails;
        `TypeError` for what is no module or no tensor, and `ValueError` for no examples.
        """
        model = _checked(model, example_input)
        found, left_alone, sums, bounded = trace_axes(model, example_input)
        matched = {name for name, _ in model.named_parameters()}
        buffers = frozenset(found.axes) - matched
        sums, bounded = (groups & found.sizes.keys() for groups in (sums, bounded))
        spec = PermutationSpec(
            found.axes, found.sizes, buffers, found.blocks, left_alone, sums=sums, bounded=bounded
        )
        if proved:
            prove(spec, model, example_input)
            if not spec.sizes:
                warnings.warn(f"{type(model).__name__}: {spec.movement}", stacklevel=2)
        return spec

    def with_scalings(self, model: nn.Module, example_input: torch.Tensor) -> "PermutationSpec":
        """Return the spec with the scales and signs of units that leave the outputs unchanged, found and
        proved.

        Raises `SpecError` for a network whose outputs are zero, `ValueError` for one that does not fit the
        spec, and `TypeError` for what is no module or no tensor.
        """
        model = self._fitting(model, example_input)
        return replace(self, scalings=find_scalings(self, model, example_input))

    def with_rotations(self, model: nn.Module, example_input: torch.Tensor) -> "PermutationSpec":
        """Return the spec with the rotations of units that leave the outputs unchanged, found and proved.

        Raises `SpecError` for a network whose outputs are zero, `ValueError` for one that does not fit the
        spec, and `TypeError` for what is no module or no tensor.
        """
        model = self._fitting(model, example_input)
        return replace(self, rotations=find_rotations(self, model, example_input))

    def _fitting(self, model: nn.Module, example_input: torch.Tensor) -> nn.Module:
        model = _checked(model, example_input)
        self.check_state(model.state_dict())
        return model


def _checked(model: object, example_input: object) -> nn.Module:
    """Return the model without a wrapper. Raises `TypeError` and `ValueError`."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected a module, not a value of type {type(model).__name__}")
    if not isinstance(example_input, torch.Tensor) or not example_input.dim():
        kind = type(example_input).__name__
        raise TypeError(f"example_input: expected a tensor with a first axis of examples, not a {kind}")
    if not len(example_input):
        raise ValueError("example_input: there are no examples")
    return unwrapped(model)
