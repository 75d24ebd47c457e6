"""Products of values with weights, which are layers as those of modules are."""

from collections.abc import Callable, Sequence

import torch

from raysweep.symmetry.listening import Call

PRODUCTS = ("matmul", "mm", "addmm")  # of two matrices, the last two arguments
IsWeight = Callable[[torch.Tensor], bool]


def axis_of_product(call: Call, is_weight: IsWeight) -> int | None:
    """Return the axis, counted from the end, along which a product has the units of its weight.

    None is returned for anything but a product of one weight with values, and for one whose units lie along
    several axes.
    """
    if call.name == "einsum":
        equation, *operands = (*call.args, *call.kwargs.values())
        if len(operands) == 1 and not isinstance(operands[0], torch.Tensor):
            operands = list(operands[0])
        return _axis_of_sum(equation, [is_weight(each) for each in operands])
    if call.name not in PRODUCTS or "beta" in call.kwargs:  # a factor of the biases
        return None
    *_, one, other = call.tensors()
    if is_weight(one) == is_weight(other):
        return None
    weight, values = (one, other) if is_weight(one) else (other, one)
    if weight.dim() < 2:
        return None
    return -1 if weight is other or values.dim() == 1 else -2


def _axis_of_sum(equation: object, are_weights: Sequence[bool]) -> int | None:
    """Return the axis of the only label of the result that the weight alone has."""
    if not isinstance(equation, str) or "->" not in equation or sum(are_weights) != 1:
        return None
    labels, output = equation.replace(" ", "").split("->")
    operands = labels.split(",")
    own = operands[are_weights.index(True)]
    others = "".join(each for each, is_weight in zip(operands, are_weights, strict=True) if not is_weight)
    units = [label for label in output if label.isalpha() and label in own and label not in others]
    after = output.partition(units[0])[2] if len(units) == 1 else "..."
    return None if "." in after else -1 - len(after)
