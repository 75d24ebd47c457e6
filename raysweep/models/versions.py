"""The versions of modules that a state dict carries, without which some modules refuse to load it."""

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import nn

METADATA = "_metadata"  # where torch keeps them, as an attribute of the dict


def like(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a copy of a state dict that shares its tensors and has its versions of modules, if any."""
    result = OrderedDict(state)
    if hasattr(state, METADATA):
        setattr(result, METADATA, getattr(state, METADATA))
    return result


def load_state(model: nn.Module, state: Mapping[str, torch.Tensor], *, assign: bool = False) -> None:
    """Load a state that this version of the model has written, strictly.

    Files do not keep the versions of modules. A state without any passes for one of an old version, which
    torchvision's MNASNet, for example, refuses.
    """
    versioned = OrderedDict(state)
    setattr(versioned, METADATA, getattr(model.state_dict(), METADATA, None))
    model.load_state_dict(versioned, assign=assign)
