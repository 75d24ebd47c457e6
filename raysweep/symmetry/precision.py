"""Runs a network in float64 although it casts to less: rounding would be taken for a change."""

from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from raysweep.symmetry.listening import name_of

DOUBLE = {
    **dict.fromkeys((torch.float32, torch.float16, torch.bfloat16), torch.float64),
    torch.complex64: torch.complex128,
}
CASTS = frozenset({"float", "half", "bfloat16"})  # methods of tensors
# Functions that make tensors of the default type: always, and where an argument has a float.
MADE = frozenset({"zeros", "ones", "empty", "rand", "randn", "eye", "linspace", "logspace"})
MADE_OF_FLOATS = frozenset({"full", "arange", "tensor", "as_tensor", "scalar_tensor"})


class DoublePrecision(TorchFunctionMode):
    """A context in which float64 (complex128) takes the place of all smaller types of floats."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given, named = pytree.tree_map_only(torch.dtype, _double, (args, kwargs or {}))
        name = name_of(func)
        if name in CASTS:
            return torch.Tensor.double(args[0])
        if named.get("dtype") is None and (name in MADE or (name in MADE_OF_FLOATS and _has_float(given))):
            named["dtype"] = torch.float64
        return func(*given, **named)


def _double(dtype: torch.dtype) -> torch.dtype:
    return DOUBLE.get(dtype, dtype)


def _has_float(values: Any) -> bool:
    return any(isinstance(leaf, float) for leaf in pytree.tree_leaves(values))
