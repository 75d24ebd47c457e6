"""Networks as users give them: as modules or as state dicts."""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from raysweep.models.versions import load_state

State = Mapping[str, torch.Tensor]
Network = State | nn.Module


def state_of(network: Network, name: str) -> State:
    """Return the state dict of a network, detached; `name` is that of the argument.

    Raises `TypeError` for anything but a module or a state dict.
    """
    if isinstance(network, nn.Module):
        return network.state_dict()
    if isinstance(network, Mapping) and all(isinstance(tensor, torch.Tensor) for tensor in network.values()):
        return network
    raise TypeError(f"{name}: expected a module or a state dict (tensors by name), not {_described(network)}")


def states_of(networks: Sequence[Network], name: str) -> list[State]:
    """Return the state dicts of several networks. Raises `TypeError` for anything but networks."""
    if isinstance(networks, nn.Module | Mapping) or not isinstance(networks, Sequence):
        raise TypeError(f"{name}: expected a list of modules or state dicts, not {_described(networks)}")
    return [state_of(each, f"{name}[{index}]") for index, each in enumerate(networks)]


def modules_of(networks: Sequence[Network], model: nn.Module | None, name: str) -> list[nn.Module]:
    """Return networks as modules; a state dict is loaded into a copy of `model`.

    Unless given, that is the first module among them. Raises `TypeError` for anything but modules and state
    dicts, and where there are state dicts alone.
    """
    states = states_of(networks, name)
    architecture = model or next((each for each in networks if isinstance(each, nn.Module)), None)
    if architecture is None:
        raise TypeError(
            f"{name}: of state dicts alone the architecture is not known; give model, a module of it"
        )
    found = []
    for network, state in zip(networks, states, strict=True):
        if not isinstance(network, nn.Module):
            network = copy.deepcopy(architecture)
            load_state(network, state)
        found.append(network)
    return found


def _described(value: object) -> str:
    if isinstance(value, Mapping):
        other = [(key, of) for key, of in value.items() if not isinstance(of, torch.Tensor)]
        return (
            f"a dict whose {other[0][0]!r} is of type {type(other[0][1]).__name__}"
            if other
            else "one of them"
        )
    return f"a value of type {type(value).__name__}"
