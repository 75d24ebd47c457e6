"""Networks as users give them: as modules or as state dicts."""

import copy
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import nn

from raysweep.models.compiled import unwrapped
from raysweep.models.versions import load_state

State = Mapping[str, torch.Tensor]
Network = State | nn.Module


def state_of(network: Network, name: str) -> State:
    """Return the state dict of a network, detached, without a wrapper (see `unwrapped`).

    `name` is that of the argument.

    Raises `TypeError` for anything but a module or a state dict, and `ValueError` for one without values.
    """
    state = unwrapped(network).state_dict() if isinstance(network, nn.Module) else network
    if not isinstance(state, Mapping) or not all(isinstance(each, torch.Tensor) for each in state.values()):
        # A module may have extra state, which may be anything.
        owner = "a module whose state dict is " if isinstance(network, nn.Module) else ""
        raise TypeError(
            f"{name}: expected a module or a state dict (tensors by name), not {owner}{_described(state)}"
        )
    plain = (each for each in state.values() if type(each) in (torch.Tensor, nn.Parameter))
    if any(tensor.is_meta for tensor in plain):  # those of a class of its own may have values elsewhere
        raise ValueError(f"{name}: its weights are on the device meta, where they have no values")
    return state


def states_of(networks: Sequence[Network], name: str) -> list[State]:
    """Return the state dicts of several networks. Raises `TypeError` for anything but networks."""
    if isinstance(networks, nn.Module | Mapping) or not isinstance(networks, Sequence):
        raise TypeError(f"{name}: expected a list of modules or state dicts, not {_described(networks)}")
    return [state_of(each, f"{name}[{index}]") for index, each in enumerate(networks)]


def modules_of(networks: Sequence[Network], model: nn.Module | None, name: str) -> list[nn.Module]:
    """Return networks as modules without wrappers; a state dict is loaded into a copy of `model`.

    Unless given, that is the first module among them. Raises `TypeError` for anything but modules and state
    dicts, and where there are state dicts alone, and `ValueError` for one that does not fit.
    """
    states = states_of(networks, name)
    if not isinstance(model, nn.Module | None):
        raise TypeError(f"model: expected a module, not {_described(model)}")
    if not states:
        return []
    first = model or next((each for each in networks if isinstance(each, nn.Module)), None)
    if first is None:
        raise TypeError(
            f"{name}: of state dicts alone the architecture is not known; give model, a module of it"
        )
    known, found = unwrapped(first), []
    for number, (network, state) in enumerate(zip(networks, states, strict=True)):
        if isinstance(network, nn.Module):
            network = unwrapped(network)
        else:
            network = copy.deepcopy(known)
            try:
                load_state(network, state)
            except RuntimeError as error:
                raise ValueError(f"{name}[{number}]: does not fit the model: {error}") from error
        found.append(network)
    return found


def architecture(models: Sequence[nn.Module]) -> nn.Module:
    """Return the first of several modules of one architecture, without a wrapper.

    Raises `TypeError` where there is none.
    """
    first = next(iter(models), None)
    if not isinstance(first, nn.Module):
        raise TypeError(f"models: expected a list of modules, not one of {_described(first)}")
    return unwrapped(first)


def first_floating(state: State) -> torch.Tensor:
    """Return the first tensor of a state that can be mixed: an integer may come before it.

    Raises `ValueError` where there is none.
    """
    for tensor in state.values():
        if tensor.is_floating_point():
            return tensor
    raise ValueError("the networks have no tensor of floating-point numbers")


def as_floats(state: State, names: Collection[str]) -> State:
    """Return a state whose tensors of these names are no integers, whose products and sums would overflow.

    Raises `ValueError` for complex ones, whose inner products have no order and so no largest one.
    """
    imaginary = next((name for name in names if name in state and state[name].is_complex()), None)
    if imaginary is not None:
        raise ValueError(
            f"tensor {imaginary}: its numbers are complex ({state[imaginary].dtype}), and only real weights "
            "can be matched; give its real and imaginary parts as two weights of the network"
        )
    integers = [name for name in names if name in state and not state[name].is_floating_point()]
    return {**state, **{name: state[name].float() for name in integers}} if integers else state


def check_alike(states: Sequence[State]) -> None:
    """Raise `ValueError` where networks that are compared have tensors of several types or devices."""
    for name, first in states[0].items():
        for state in states[1:]:
            other = state.get(name, first)
            if (other.dtype, other.device) != (first.dtype, first.device):
                raise ValueError(
                    f"tensor {name}: {first.dtype} on {first.device} in one network, but {other.dtype} on "
                    f"{other.device} in another; bring the networks to one type and one device"
                )


def _described(value: object) -> str:
    if isinstance(value, Mapping):
        other = [(key, of) for key, of in value.items() if not isinstance(of, torch.Tensor)]
        return (
            f"a dict whose {other[0][0]!r} is of type {type(other[0][1]).__name__}"
            if other
            else "one of them"
        )
    return f"a value of type {type(value).__name__}"
