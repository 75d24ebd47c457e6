"""Optimisers over a module's parameters, and their state as named tensors."""

import io
import warnings
from collections.abc import Callable, Iterable, Mapping
from inspect import unwrap
from typing import Any, TypeVar

import torch
from torch import nn

from raysweep.errors import UserError
from raysweep.registry import arguments, is_own
from raysweep.training.registry import OPTIMISERS

Parameters = Iterable[nn.Parameter]
Kind = TypeVar("Kind", bound=torch.optim.Optimizer)
WHOLE = "state_dict"  # the name under which the state dict of a user's optimiser is stored
_WRAPPED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict", "step")
# Adam must be told that a CUDA graph may hold its steps, and then warns of those that none holds.
warnings.filterwarnings("ignore", "This instance was constructed with capturable=True")


def make_optimiser(
    model: nn.Module, name: str, settings: Mapping[str, Any], options: Mapping[str, Any]
) -> torch.optim.Optimizer:
    """Return an optimiser of a model's parameters, by the name of its function.

    `settings` are the keys of `train` in `SETTINGS`, and `options` further arguments of the function. Raises
    `ValueError` for an unknown name, and `UserError` where the function fails or returns anything but an
    optimiser of parameters of this model.
    """
    function = OPTIMISERS.function(name)
    offered = {"parameters": model.parameters(), "named_parameters": model.named_parameters(), **settings}
    given = arguments(function, offered, options)
    try:
        optimiser = function(**given)
    except Exception as error:
        raise UserError(f"optimiser {name!r} fails: {type(error).__name__}: {error}") from error
    if not isinstance(optimiser, torch.optim.Optimizer):
        raise UserError(f"optimiser {name!r} returns {type(optimiser).__name__}, not a torch.optim.Optimizer")
    if any("lr" not in group for group in optimiser.param_groups):
        raise UserError(f"optimiser {name!r} has parameters without 'lr', which the schedule sets")
    known = set(map(id, model.parameters()))
    if any(id(each) not in known for group in optimiser.param_groups for each in group["params"]):
        raise UserError(f"optimiser {name!r} has parameters that are not the network's")
    return optimiser


def plain(kind: type[Kind]) -> type[Kind]:
    """Return one of torch's optimisers without its precautions for being compiled, which it never is here.

    They import torch's compiler at the first step, which takes two seconds in each process.
    """
    methods = {name: unwrap(getattr(kind, name)) for name in _WRAPPED}
    return type(kind.__name__, (kind,), methods | {"step": torch.no_grad()(methods["step"])})


_SGD, _RMSprop = plain(torch.optim.SGD), plain(torch.optim.RMSprop)


def sgd(
    parameters: Parameters, learning_rate: float, momentum: float, nesterov: bool, weight_decay: float
) -> torch.optim.Optimizer:
    return _SGD(
        parameters,
        lr=learning_rate,
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=weight_decay,
        fused=True,
    )


def _adam(kind: type[torch.optim.Adam] | type[torch.optim.AdamW]) -> Callable[..., torch.optim.Optimizer]:
    """Return the function of Adam or AdamW, whose beta1 is `momentum`."""
    made = plain(kind)

    def make(
        parameters: Parameters,
        learning_rate: float,
        momentum: float,
        weight_decay: float,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> torch.optim.Optimizer:
        return made(
            parameters,
            lr=learning_rate,
            betas=(momentum, beta2),
            eps=eps,
            weight_decay=weight_decay,
            fused=True,
            capturable=True,
        )

    return make


adam, adamw = _adam(torch.optim.Adam), _adam(torch.optim.AdamW)


def rmsprop(
    parameters: Parameters,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    alpha: float = 0.99,
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    return _RMSprop(
        parameters, lr=learning_rate, momentum=momentum, alpha=alpha, eps=eps, weight_decay=weight_decay
    )


def begin_momentum(optimiser: torch.optim.Optimizer) -> None:
    """Give zero momentum to parameters that receive their first gradient later than others.

    The fused SGD kernel requires that either all parameters with a gradient have a momentum buffer or none
    has. Starting from zero, the first step is the same as without a buffer.
    """
    fused = isinstance(optimiser, torch.optim.SGD) and optimiser.defaults["fused"]
    if not fused or not optimiser.defaults["momentum"]:
        return
    parameters = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    without = [p for p in parameters if not optimiser.state.get(p)]
    if len(without) < len(parameters):
        for parameter in without:
            optimiser.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def optimiser_state(model: nn.Module, optimiser: torch.optim.Optimizer, name: str) -> dict[str, torch.Tensor]:
    """Return copies of the state's tensors, named `slot/parameter`, e.g. `momentum_buffer/conv.weight`.

    The state dict of a user's optimiser, which may hold anything, is the bytes of one tensor, `state_dict`.
    """
    if is_own(name):
        buffer = io.BytesIO()
        torch.save(optimiser.state_dict(), buffer)
        return {WHOLE: torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)}
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
    if WHOLE in state:
        content = io.BytesIO(state[WHOLE].numpy().tobytes())
        optimiser.load_state_dict(torch.load(content, map_location="cpu", weights_only=True))
        return
    parameters = dict(model.named_parameters())
    for key, value in state.items():
        slot, _, name = key.partition("/")
        parameter = parameters[name]
        # The fused AdamW kernel expects its step counter on the device. The kernels also assume that the
        # other tensors have the memory format of the parameter, which may be channels-last.
        kept = torch.empty_like(parameter) if value.shape == parameter.shape else torch.empty_like(value)
        optimiser.state[parameter][slot] = kept.to(parameter.device).copy_(value)
