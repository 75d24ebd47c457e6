"""Finds tensors of a network's state that are tied under several names, or that share memory."""

from itertools import pairwise

import torch
from torch import nn


def tied_names(model: nn.Module) -> dict[str, str]:
    """Return a mapping from each further name of a tied tensor to its first name in the state dict."""
    first: dict[int, str] = {}
    names = ((name, first.setdefault(id(tensor), name)) for name, tensor in _state(model).items())
    return {name: own for name, own in names if name != own}


def aliased(model: nn.Module) -> tuple[str, str] | None:
    """Return the names of two tensors that overlap in memory without being tied, or None.

    In a copy of such a network, or on a GPU, they would no longer share memory.
    """
    tied = tied_names(model)
    extents = sorted(
        (*_extent(tensor), name)
        for name, tensor in _state(model).items()
        if name not in tied and tensor.numel()
    )
    shared = ((one, other) for (_, end, one), (start, _, other) in pairwise(extents) if start < end)
    return next(shared, None)


def _extent(tensor: torch.Tensor) -> tuple[int, int]:
    """Return the address of the first byte of a tensor, and of the byte after its last."""
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.element_size()


def _state(model: nn.Module) -> dict[str, torch.Tensor]:
    return model.state_dict(keep_vars=True)
