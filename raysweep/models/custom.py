"""A user's own network: calling the function that builds it and checking what it returns."""

from functools import lru_cache

import torch
from torch import nn

from raysweep.errors import UserError
from raysweep.models.compiled import uncompiled
from raysweep.models.config import ModelConfig
from raysweep.models.constants import differing_constants
from raysweep.models.measurable import unmeasurable
from raysweep.models.memory import aliased
from raysweep.models.registry import MODELS
from raysweep.models.seeding import seeded
from raysweep.registry import arguments

IMAGES = 2  # in the batch of zeros with which the shape of the output is checked


def build_custom(config: ModelConfig) -> nn.Module:
    """Call the user's function with those arguments of `OFFERED` that its signature names.

    `depth` is left out when the configuration does not give it. Compiled modules are replaced by plain ones
    (see `uncompiled`). Raises `UserError` when the function cannot be found or fails; when it does not return
    a module that maps (batch, *shape) to (batch, classes), example by example; when it draws random numbers
    that no checkpoint holds; and when the state holds anything but tensors, or tensors that share memory
    without being tied.
    """
    _check_once(config)
    return _called(config)


def _called(config: ModelConfig) -> nn.Module:
    function = MODELS.function(config.model)
    try:
        model = function(**arguments(function, config.offered(), {}))
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


@lru_cache(maxsize=64)
def _check_once(config: ModelConfig) -> None:
    """Check what all networks of a configuration have in common, whatever their seed."""
    one, same, other = (seeded(seed, lambda: _called(config)) for seed in (0, 0, 1))
    again = same.state_dict()
    unlike = [n for n, t in one.state_dict().items() if n not in again or not torch.equal(t, again[n])]
    if unlike:
        raise UserError(
            f"model {config.model!r}: two calls under one seed differ in {', '.join(unlike[:3])}; draw from "
            "the global generators of torch, numpy or random alone"
        )
    drawn = differing_constants(one, other)
    if drawn:
        raise UserError(
            f"model {config.model!r}: {', '.join(drawn[:3])} is drawn anew for every network, and no "
            "checkpoint holds it; register it with register_buffer"
        )
    problem = unmeasurable(one, torch.zeros(IMAGES, *config.shape))
    if problem:
        raise UserError(f"model {config.model!r}: {problem}")


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
