"""A mixture of networks as a state dict, in which the corrections of REPAIR are folded into the layers."""

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from raysweep.connectivity.blend import shares
from raysweep.connectivity.mixtures import NOTHING, Mending, Mixtures
from raysweep.connectivity.repair import Correction
from raysweep.models.flat import FlatNetwork, State
from raysweep.models.versions import like
from raysweep.symmetry.tracing import HiddenLayer


def mixed_state(
    model: nn.Module, states: Sequence[State], weights: np.ndarray, mending: Mending = NOTHING
) -> dict[str, torch.Tensor]:
    """Return the state of the mixture that a curve has at `weights` (networks,), which sum to one.

    `model` is the architecture of the states and is not changed. Raises `ValueError` and `SpecError` as
    `raysweep.connectivity.curve` and `folded` do.
    """
    network = FlatNetwork(copy.deepcopy(model))
    network.load_discrete(states)
    mixtures = Mixtures(network, [network.flatten(state) for state in states], mending)
    mixtures.form(shares(weights))
    return folded(network.model, mixtures.corrections())


@torch.no_grad()
def folded(model: nn.Module, corrections: Mapping[HiddenLayer, Correction]) -> dict[str, torch.Tensor]:
    """Return the state of a network that computes with corrections of its hidden units, without these layers.

    `corrections` are those of `Rescaled`. The weights of a layer are multiplied by the scale and its biases
    are moved, so that the network's functions agree up to rounding. Raises `ValueError` for a layer without
    biases, for one whose parameters are used more than once, and for an operation whose weights are computed.
    """
    state = like(model.state_dict())
    state.update(
        {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    )
    for layer, correction in corrections.items():
        if not layer.parameters or state[layer.parameters[0]].dim() == 1:  # a bias alone
            which = f"layer {layer.parameters[0].removesuffix('.bias')}" if layer.parameters else layer.name
            raise ValueError(
                f"{which}: its weight is not a parameter but computed, as by weight_norm, so that nothing "
                "can be folded into it; make it plain (torch.nn.utils.parametrize.remove_parametrizations)"
            )
        where = layer.parameters[0].removesuffix(".weight")
        if len(layer.parameters) < 2:
            raise ValueError(
                f"layer {where} has no biases, which would have to be moved; make it one with bias=True"
            )
        if layer.shared:
            raise ValueError(f"layer {where} is used more than once, each time with a different correction")
        weight, bias = (state[name] for name in layer.parameters)
        axis = 1 if layer.name.startswith("conv_transpose") or layer.name == "addmm" else 0
        weight.mul_(_along(correction.scale, axis, weight.dim()))
        bias.mul_(correction.scale).add_(correction.shift)
    return state


def _along(scale: torch.Tensor, axis: int, dimensions: int) -> torch.Tensor:
    return scale.view([-1 if dimension == axis else 1 for dimension in range(dimensions)])
