"""Pads a narrow network to the shapes of a wide one with units that have no effect."""

import torch
from torch import nn
from torch.func import functional_call

from raysweep.digest import seed_for
from raysweep.errors import SpecError
from raysweep.models.given import Network, state_of
from raysweep.symmetry import PermutationSpec
from raysweep.symmetry.blocks import first_units
from raysweep.symmetry.randomised import TOLERANCE, blank_copy, randomised_network
from raysweep.symmetry.selection import region


def pad(
    narrow_spec: PermutationSpec, wide_spec: PermutationSpec, narrow: Network, wide: Network
) -> dict[str, torch.Tensor]:
    """Return the narrow network's state in the shapes of the wide one: its units first, then zeros.

    In a group in blocks they come first in each block. The output of the new units is zero, and no other unit
    has a weight for it. `wide` is the wide network, which gives the shapes. The result is on the device of
    the narrow network.
    """
    first = first_units(narrow_spec.blocks, narrow_spec.sizes, wide_spec.sizes)
    small, large, result = state_of(narrow, "narrow"), state_of(wide, "wide"), {}
    for name, tensor in small.items():
        axes = wide_spec.axes.get(name) or (None,) * tensor.dim()
        padded = torch.zeros_like(large[name], dtype=tensor.dtype, device=tensor.device)
        padded[region(axes, first, tensor.shape, padded.shape)] = tensor
        result[name] = padded
    return result


def prove_padding(
    specs: tuple[PermutationSpec, PermutationSpec], models: tuple[nn.Module, nn.Module], example: torch.Tensor
) -> None:
    """Check that padding a narrow to a wide network does not change its function.

    The check draws random parameters and buffers in float64, and leaves the networks as they are. Raises
    `SpecError` where the function changes, as with a norm over several units (LayerNorm), and where the
    networks differ in more than their widths.
    """
    if list(specs[0].sizes) != list(specs[1].sizes):
        raise SpecError("the narrow and the wide network have different groups of hidden units")
    if specs[0].blocks != specs[1].blocks:
        raise SpecError("the units of the narrow and of the wide network lie in different numbers of blocks")
    narrow, wide = models
    generator = torch.Generator().manual_seed(seed_for("padding"))
    state = randomised_network(narrow, example, generator).state
    shapes = wide.state_dict()
    inputs = torch.randn(example.shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        before = functional_call(blank_copy(narrow).eval(), state, inputs)
        after = functional_call(blank_copy(wide).eval(), pad(*specs, state, shapes), inputs)
    if not torch.allclose(before, after, rtol=TOLERANCE, atol=TOLERANCE * before.abs().max().item()):
        raise SpecError(
            "units that have no effect elsewhere change the function of this network, for example because "
            "LayerNorm averages over them, so a narrow network cannot be compared with a wide one"
        )
