"""Which tensors of a network's state are one: tied under several names, or in shared memory."""

from itertools import pairwise

import torch
from torch import nn


def tied_names(model: nn.Module) -> dict[str, str]:
    """Return, by each further name of a tied tensor, its first name in the order of the state dict."""
    first: dict[int, str] = {}
    names = ((name, first.setdefault(id(tensor), name)) for name, tensor in _state(model).items())
    return {name: own for name, own in names if name != own}


def aliased(model: nn.Module) -> tuple[str, str] | None:
    """Return the names of two tensors that lie in the same memory without being one, or None.

    A copy of such a network, or one on a GPU, would have them apart.
    """
    tied = tied_names(model)
    places = sorted(
        (*_extent(tensor), name)
        for name, tensor in _state(model).items()
        if name not in tied and tensor.numel()
    )
    shared = ((one, other) for (_, end, one), (start, _, other) in pairwise(places) if start < end)
    return next(shared, None)


def _extent(tensor: torch.Tensor) -> tuple[int, int]:
    """The first byte of a tensor in memory, and the one behind its last."""
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.element_size()


def _state(model: nn.Module) -> dict[str, torch.Tensor]:
    return model.state_dict(keep_vars=True)
