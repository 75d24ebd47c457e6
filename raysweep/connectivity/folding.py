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
from raysweep.symmetry.tracing import traced_graph

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


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
def folded(model: nn.Module, corrections: Mapping[str, Correction]) -> dict[str, torch.Tensor]:
    """Return the state of a network that computes with corrections of its hidden units, without these layers.

    `corrections` are those of `Rescaled`, by node of the traced graph. The weights of a layer are multiplied
    by the scale and its biases are moved, so that the network's functions agree up to rounding. Raises
    `ValueError` for a layer without biases, for one that is used more than once or whose parameters another
    one shares, and for an operation that is no layer.
    """
    state = like(model.state_dict())
    state.update(
        {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    )
    nodes = {node.name: node for node in traced_graph(model).nodes}
    calls = [str(node.target) for node in nodes.values() if node.op == "call_module"]
    for name, correction in corrections.items():
        layer = str(nodes[name].target)
        if nodes[name].op != "call_module":
            raise ValueError(f"{name} is an operation and no layer, so that nothing can be folded into it")
        module = model.get_submodule(layer)
        if module.bias is None:
            raise ValueError(
                f"layer {layer} has no biases, which would have to be moved; make it one with bias=True"
            )
        if calls.count(layer) > 1 or _shared(model, module):
            raise ValueError(f"layer {layer} is used more than once, each time with another correction")
        weight = state[f"{layer}.weight"]
        axis = 1 if isinstance(module, TRANSPOSED) else 0
        weight.mul_(_along(correction.scale, axis, weight.dim()))
        state[f"{layer}.bias"].mul_(correction.scale).add_(correction.shift)
    return state


def _along(scale: torch.Tensor, axis: int, dimensions: int) -> torch.Tensor:
    return scale.view([-1 if dimension == axis else 1 for dimension in range(dimensions)])


def _shared(model: nn.Module, module: nn.Module) -> bool:
    own = {id(parameter) for parameter in module.parameters(recurse=False)}
    names = [name for name, each in model.named_parameters(remove_duplicate=False) if id(each) in own]
    return len(names) > len(own)
