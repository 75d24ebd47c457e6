"""Gradients with respect to every floating-point tensor of a network's state, running statistics included."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

State = dict[str, torch.Tensor]


class _DifferentiableStatistics(TorchFunctionMode):
    """Writes out the norms that use running statistics, for which torch has no derivative."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if func in (functional.batch_norm, functional.instance_norm):
            bound = inspect.signature(func).bind(*args, **named)
            bound.apply_defaults()
            input, mean, variance, weight, bias, batch_statistics, _, epsilon = bound.args
        elif func in (torch.batch_norm, torch.instance_norm):
            input, weight, bias, mean, variance, batch_statistics, _, epsilon, _ = args
        else:
            return func(*args, **named)
        if batch_statistics:
            return func(*args, **named)
        return _normalised(input, mean, variance, weight, bias, epsilon)


def _normalised(
    input: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    epsilon: float,
) -> torch.Tensor:
    """The same as batch norm in evaluation mode: every statistic belongs to a channel (axis 1)."""
    shape = (-1,) + (1,) * (input.dim() - 2)
    scale = (variance + epsilon).rsqrt() if weight is None else (variance + epsilon).rsqrt() * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return torch.addcmul(shift.view(shape), input, scale.view(shape))


@torch.enable_grad()
def state_gradients(function: Callable[[State], torch.Tensor], state: State) -> State:
    """Return the gradient of a scalar function by name; tensors without influence are left out."""
    floating = [name for name, tensor in state.items() if tensor.is_floating_point()]
    leaves = {name: state[name].detach().requires_grad_() for name in floating}
    with _DifferentiableStatistics():
        value = function({**state, **leaves})
    gradients = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    found = zip(floating, gradients, strict=True)
    return {name: gradient for name, gradient in found if gradient is not None}
