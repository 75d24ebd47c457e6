"""Operations on entries with equal indices, with broadcasting."""

from typing import Any

import torch

from raysweep.symmetry.axes import Axis, Value, length, still
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.traced import NotUnderstoodError, Traced

_ALGEBRA = ("add", "sub", "mul", "div", "truediv", "iadd", "isub", "imul", "itruediv", "rsub", "pow")
_CURVES = (
    "neg",
    "abs",
    "sign",
    "reciprocal",
    "square",
    "sqrt",
    "rsqrt",
    "exp",
    "expm1",
    "log",
    "log1p",
    "sin",
)
_BOUNDS = ("clamp", "clip", "clamp_min", "clamp_max", "minimum", "maximum", "hardtanh", "relu6", "threshold")
_SMOOTH = ("sigmoid", "logsigmoid", "tanh", "gelu", "silu", "mish", "elu", "selu", "celu", "softplus", "erf")
_COMPARISONS = ("gt", "ge", "lt", "le", "eq", "ne", "logical_and", "logical_or", "logical_not", "masked_fill")
_KINKED = ("relu", "leaky_relu", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "tanhshrink")
ELEMENTWISE = (
    *_ALGEBRA,
    *_CURVES,
    *_BOUNDS,
    *_SMOOTH,
    *_KINKED,
    *_COMPARISONS,
    "cos",
    "softsign",
    "where",
    "lerp",
    "addcmul",
)
CONVERSIONS = ("contiguous", "clone", "detach", "to", "float", "double", "half", "bfloat16")
DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")


def elementwise(groups: Groups, result: torch.Tensor, *args: Any, **kwargs: Any) -> Value:
    """Axes that are not broadcast move together in all operands."""
    operands = [arg for arg in (*args, *kwargs.values()) if isinstance(arg, Traced)]
    return tuple(
        _meet(groups, size, [o.axes[-from_end] for o in operands if o.tensor.dim() >= from_end])
        for from_end, size in zip(range(result.dim(), 0, -1), result.shape, strict=True)
    )


def _meet(groups: Groups, size: int, axes: list[Axis]) -> Axis:
    full = [axis for axis in axes if length(axis) == size]
    if size == 1 or not full:
        return still(size)
    for axis in full[1:]:
        groups.merge(full[0], axis)
    return full[0]


def conversion(groups: Groups, result: torch.Tensor, tensor: Traced, *_: Any, **__: Any) -> Value:
    return tensor.axes


def dropout(
    groups: Groups,
    result: torch.Tensor,
    input: Traced,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> Value:
    if training:
        raise NotUnderstoodError("is random in evaluation mode; pass training=self.training")
    return input.axes
