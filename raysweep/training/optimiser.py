"""Optimisers over a module's parameters, and their state as named tensors."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from raysweep.choices import choose

ADAMW_BETA2 = 0.999  # AdamW's beta1 is the hyperparameter `momentum`


def make_optimiser(
    model: nn.Module, name: str, rate: float, momentum: float, nesterov: bool, weight_decay: float
) -> torch.optim.Optimizer:
    """Return an optimiser of all parameters: `sgd` or `adamw`. Raises `ValueError` for another name."""
    makers: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "sgd": partial(torch.optim.SGD, momentum=momentum, nesterov=nesterov),
        "adamw": partial(torch.optim.AdamW, betas=(momentum, ADAMW_BETA2)),
    }
    make = choose("optimiser", name, makers)
    return make(model.parameters(), lr=rate, weight_decay=weight_decay, fused=True)


def begin_momentum(optimiser: torch.optim.Optimizer) -> None:
    """Give zero momentum to parameters that receive their first gradient later than others.

    The fused SGD kernel requires that either all parameters with a gradient have a momentum buffer or none
    has. Starting from zero, the first step is the same as without a buffer.
    """
    if not isinstance(optimiser, torch.optim.SGD) or not optimiser.defaults["momentum"]:
        return
    parameters = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    without = [p for p in parameters if not optimiser.state.get(p)]
    if len(without) < len(parameters):
        for parameter in without:
            optimiser.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def optimiser_state(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return copies of the state's tensors, named `slot/parameter`, e.g. `momentum_buffer/conv.weight`."""
    return {
        f"{slot}/{name}": value.detach().clone()
        for name, parameter in model.named_parameters()
        for slot, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, torch.Tensor)
    }


def load_optimiser_state(
    model: nn.Module, optimiser: torch.optim.Optimizer, state: Mapping[str, torch.Tensor]
) -> None:
    """Restore a state that `optimiser_state` returned. Raises `KeyError` for an unknown parameter."""
    parameters = dict(model.named_parameters())
    for key, value in state.items():
        slot, _, name = key.partition("/")
        parameter = parameters[name]
        # The fused AdamW kernel expects its step counter on the device. The kernels also assume that the
        # other tensors have the memory format of the parameter, which may be channels-last.
        kept = torch.empty_like(parameter) if value.shape == parameter.shape else torch.empty_like(value)
        optimiser.state[parameter][slot] = kept.to(parameter.device).copy_(value)
