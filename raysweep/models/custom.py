"""A user's own network: calling the function that builds it and checking what it returns."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from raysweep.errors import UserError
from raysweep.models.compiled import uncompiled
from raysweep.models.config import ModelConfig
from raysweep.models.memory import aliased
from raysweep.models.source import find_module, split_name

IMAGES = 2  # in the batch of zeros with which the shape of the output is checked


def build_custom(config: ModelConfig) -> nn.Module:
    """Call the function with those of shape, classes, width, depth and norm that its signature names.

    `depth` is left out when the configuration does not give it. Raises `UserError` when the function
    cannot be found or fails, when what it returns is not a module that maps (batch, *shape) to
    (batch, classes), or when its state holds anything but tensors, or tensors that share memory without
    being tied. What torch.compile wraps is taken out of it (see `uncompiled`).
    """
    function = _function(config.model)
    try:
        model = function(**_arguments(function, config))
    except Exception as error:
        raise UserError(f"model {config.model!r} fails: {type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module):
        raise UserError(f"model {config.model!r} returns {type(model).__name__}, not a torch.nn.Module")
    try:
        model = uncompiled(model)
    except UserError as error:
        raise UserError(f"model {config.model!r}: {error}") from None
    _check_output(model, config)
    _check_state(model, config)  # lazy layers have one now
    return model


def _function(model: str) -> Callable[..., Any]:
    find_module(model)
    module, name = split_name(model)
    try:
        function = getattr(importlib.import_module(module), name, None)
    except Exception as error:
        raise UserError(
            f"model {model!r}: importing {module} fails: {type(error).__name__}: {error}"
        ) from error
    if function is None:
        raise UserError(f"model {model!r}: module {module} has no {name!r}")
    if not callable(function):
        raise UserError(f"model {model!r}: {name} is not callable but of type {type(function).__name__}")
    return function


def _arguments(function: Callable[..., Any], config: ModelConfig) -> dict[str, Any]:
    offered = {
        "shape": config.shape,
        "classes": config.classes,
        "width": config.width,
        "depth": config.depth,
        "norm": config.norm,
    }
    parameters = inspect.signature(function).parameters
    takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    return {
        name: value
        for name, value in offered.items()
        if value is not None and (takes_all or name in parameters)
    }


def _check_state(model: nn.Module, config: ModelConfig) -> None:
    for name, value in model.state_dict().items():
        if not isinstance(value, torch.Tensor):
            raise UserError(
                f"model {config.model!r}: {name} in its state dict is of type {type(value).__name__}; only "
                "tensors are stored"
            )
    shared = aliased(model)
    if shared is not None:
        raise UserError(
            f"model {config.model!r}: {shared[0]} and {shared[1]} share memory without being one tensor, "
            "which a copy of the network would not keep; to tie two layers assign one parameter to both "
            "(one.weight = other.weight)"
        )


@torch.no_grad()
def _check_output(model: nn.Module, config: ModelConfig) -> None:
    training = model.training
    try:
        output = model.eval()(torch.zeros(IMAGES, *config.shape))
    except Exception as error:
        raise UserError(
            f"model {config.model!r} fails on images of shape {config.shape}: {type(error).__name__}: {error}"
        ) from error
    model.train(training)
    expected = (IMAGES, config.classes)
    found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if found != expected:
        raise UserError(
            f"model {config.model!r}: its output is {found}, expected a tensor of shape {expected}"
        )
