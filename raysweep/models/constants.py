"""Constants that a network computes with outside its state: attributes, and buffers that are not stored."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils import _pytree as pytree

_OWN = frozenset(vars(nn.Module()))  # the attributes that torch gives every module
_OF_RNN = "_flat_weights"  # torch's list of the parameters of an RNN, which its forward brings up to date


def differing_constants(one: nn.Module, other: nn.Module) -> list[str]:
    """Return the names of the tensors, arrays and floats outside the state in which two networks differ."""
    there = dict(_constants(other))
    return [name for name, value in _constants(one) if not _same(value, there.get(name))]


def _constants(model: nn.Module) -> Iterator[tuple[str, list[Any]]]:
    stored = model.state_dict().keys()
    for name, buffer in model.named_buffers():
        if name not in stored:
            yield name, [buffer]
    for path, module in model.named_modules():
        for attribute, value in vars(module).items():
            if attribute not in _OWN and not (attribute == _OF_RNN and isinstance(module, nn.RNNBase)):
                leaves = [
                    x for x in pytree.tree_leaves(value) if isinstance(x, torch.Tensor | np.ndarray | float)
                ]
                yield f"{path}.{attribute}".removeprefix("."), leaves


def _same(ones: list[Any], others: list[Any] | None) -> bool:
    return others is not None and len(ones) == len(others) and all(map(_equal, ones, others))


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
    if type(one) is not type(other):
        return False
    numbers = np.asarray(one).dtype.kind in "fc"  # only among these may be NaN
    return bool(np.array_equal(one, other, equal_nan=numbers))
