"""Operations on entries with equal indices, with broadcasting."""

from typing import Any

import torch

from raysweep.symmetry.axes import Value
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.operations.contracting import contract
from raysweep.symmetry.traced import NotUnderstoodError, Traced

ADDITIONS = frozenset({"add", "iadd", "radd", "sub", "isub", "rsub", "subtract"})
_ALGEBRA = (
    *("add", "sub", "mul", "div", "truediv", "iadd", "isub", "imul", "itruediv", "ipow", "rsub", "radd"),
    *("rmul", "rdiv", "rtruediv", "rpow", "pow", "divide", "multiply", "subtract", "true_divide"),
    "float_power",
)
_CURVES = (
    *("positive", "neg", "abs", "sign", "reciprocal", "square", "sqrt", "rsqrt", "exp", "exp2", "expm1"),
    *("log", "log2", "log10", "log1p", "sin", "cos", "tan", "atan", "sinh", "cosh", "floor", "ceil"),
    *("round", "nan_to_num"),
)
_BOUNDS = ("clamp", "clip", "clamp_min", "clamp_max", "minimum", "maximum", "hardtanh", "relu6", "threshold")
# What they do depends on how large a value is beside a constant, which random values may not reach.
BOUNDED = frozenset(
    {*_BOUNDS, "max", "min", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "gt", "ge", "lt", "le"}
)
_SMOOTH = (
    *("sigmoid", "logsigmoid", "tanh", "gelu", "silu", "mish", "elu", "selu", "celu", "softplus"),
    *("softsign", "erf"),
)
_COMPARISONS = (
    *("gt", "ge", "lt", "le", "eq", "ne", "logical_and", "logical_or", "logical_not", "and", "or", "xor"),
    *("invert", "isnan", "isinf", "masked_fill", "bitwise_and", "bitwise_or", "bitwise_not"),
)
_KINKED = (
    *("relu", "leaky_relu", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "tanhshrink", "rrelu"),
    *("where", "lerp", "addcmul", "addcdiv"),
)
ELEMENTWISE = (*_ALGEBRA, *_CURVES, *_BOUNDS, *_SMOOTH, *_KINKED, *_COMPARISONS)
CONVERSIONS = (
    *("contiguous", "clone", "detach", "data", "to", "type", "type_as", "float", "double", "half"),
    *("bfloat16", "cpu", "cuda", "zero"),
)
SOFTMAXES = ("softmax", "softmin", "log_softmax", "normalize")  # no entry along their axis is special
DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")


def elementwise(groups: Groups, result: torch.Tensor, *args: Any, **kwargs: Any) -> Value:
    """Axes that are not broadcast move together in all operands.

    Raises `NotUnderstoodError` for the positions that `where` returns of a condition alone.
    """
    if not isinstance(result, torch.Tensor):
        raise NotUnderstoodError("returns positions")
    operands = [arg for arg in (*args, *kwargs.values()) if isinstance(arg, Traced)]
    rank = result.dim()
    labels = [range(rank - operand.tensor.dim(), rank) for operand in operands]
    return contract(groups, operands, labels, range(rank))


def unary(groups: Groups, result: torch.Tensor, input: Traced, *_: Any, **__: Any) -> Value:
    """Any reordering of the entries reorders those of the result; softmax is an example."""
    return input.axes


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
