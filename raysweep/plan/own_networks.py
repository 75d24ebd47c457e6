"""What a plan checks about a user's own network; our own networks need no check."""

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from raysweep.errors import UserError
from raysweep.models.config import ModelConfig
from raysweep.registry import is_own
from raysweep.sweep.fields import NO_OPTIONS, Arguments

if TYPE_CHECKING:
    from torch import nn

EXAMPLES = 2  # in the batch on which a network is run or traced; a norm over the batch needs two


def training_only(model: "nn.Module", config: ModelConfig) -> set[str]:
    """Return the parameters that a network reads in training mode alone, as those of auxiliary heads."""
    if not is_own(config.model):
        return set()
    import torch

    from raysweep.symmetry import read_in_training_only

    return read_in_training_only(model, torch.zeros(EXAMPLES, *config.shape))


@dataclass(frozen=True)
class LeftOut:
    """Weights (parameters of two axes or more, except norms') that are not treated like weights of layers.

    `initialisation` lists those that keep the values that the constructor gave them, `pruning` those that
    pruning does not act on, and `evaluation` parameters of any shape that only training reads.
    """

    initialisation: tuple[str, ...] = ()
    pruning: tuple[str, ...] = ()
    evaluation: tuple[str, ...] = ()


@lru_cache(maxsize=64)
def left_out(config: ModelConfig, init: str, options: Arguments = NO_OPTIONS) -> LeftOut:
    """Return the weights that are left out. Raises `UserError` for a network that cannot be built."""
    if not is_own(config.model) and not is_own(init):
        return LeftOut()
    from raysweep.models.build import build
    from raysweep.models.initialise import as_constructed
    from raysweep.models.layers import matrices, prunable

    model = build(config)
    heads = training_only(model, config)
    layers = set(prunable(model).values()) - heads
    return LeftOut(
        tuple(as_constructed(model, init, options)),
        tuple(name for name in matrices(model) if name not in layers),
        tuple(name for name, _ in model.named_parameters() if name in heads),
    )


@lru_cache(maxsize=64)
def check_training(config: ModelConfig) -> None:
    """Run a network once in training mode.

    Raises `UserError` where it fails, returns anything but logits, has nothing to train, or draws random
    numbers that the seed of a step does not determine.
    """
    if not is_own(config.model):
        return
    import torch

    from raysweep.models.build import build
    from raysweep.training.step import checked_logits

    model, named = build(config).train(), f"model {config.model!r}"
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(f"{named} has no parameter to train: none requires a gradient")
    drawn = _global_generators()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            output = model(torch.zeros(EXAMPLES, *config.shape))
    except Exception as error:
        raise UserError(
            f"{named} fails in training mode on images of shape {config.shape}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if drawn != _global_generators():
        raise UserError(
            f"{named}: in training mode its forward draws random numbers from numpy or random; "
            "draw them from torch instead"
        )
    try:
        shape = tuple(checked_logits(output).shape)
    except ValueError as error:
        raise UserError(f"{named}: {error}") from error
    expected = (EXAMPLES, config.classes)
    if shape != expected:
        raise UserError(f"{named}: in training mode its output has the shape {shape}, expected {expected}")


def _global_generators() -> tuple[object, object]:
    """The states of the generators of random and numpy, which a training step does not seed."""
    import numpy as np

    numpy_state: Any = np.random.get_state()
    return random.getstate(), numpy_state[2]
