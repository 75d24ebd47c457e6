"""Initialisation from an explicit seed."""

from collections.abc import Callable

import torch
from torch import nn

from raysweep.choices import choose
from raysweep.digest import seed_for
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.layers import matrices

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)


def initialised(config: ModelConfig, init: str, seed: int) -> nn.Module:
    """Build a network on the CPU with its initial weights, which depend on these arguments alone."""
    model = build(config, seed=seed_for("initialisation", seed))
    initialise(model, init, seed)
    return model


@torch.no_grad()
def initialise(model: nn.Module, init: str, seed: int) -> None:
    """Draw the weights of linear and convolutional layers on the CPU in module order.

    `kaiming_normal` draws weights of variance 2 / fan_in and sets biases to zero (He et al. 2015; the paper
    uses it). `pytorch` is the default of torch's own layers: weights and biases are uniform within
    1 / sqrt(fan_in). `own` keeps what the constructor drew (`initialised` gives it the seed). All other
    parameters, such as those of norms, stay as they were built. Raises `ValueError` for another name.
    """
    draw = choose("init", init, DRAWS)
    generator = torch.Generator().manual_seed(seed_for("initialisation", seed))
    for module in model.modules():
        if isinstance(module, LAYERS):
            draw(module.weight, module.bias, generator)


def as_constructed(model: nn.Module, init: str) -> list[str]:
    """Return the parameters of two axes or more, norms aside, that `initialise` leaves as they were made.

    Examples are the factors of a parametrised weight (`weight_norm`): `initialise` draws their product, which
    the next forward pass computes again from the factors.
    """
    if init == "own":
        return []
    layers = (module for module in model.modules() if isinstance(module, LAYERS))
    drawn = {id(module._parameters.get("weight")) for module in layers}
    parameters = dict(model.named_parameters())
    return [name for name in matrices(model) if id(parameters[name]) not in drawn]


def _kaiming_normal(weight: torch.Tensor, bias: torch.Tensor | None, generator: torch.Generator) -> None:
    nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
    if bias is not None:
        nn.init.zeros_(bias)


def _pytorch(weight: torch.Tensor, bias: torch.Tensor | None, generator: torch.Generator) -> None:
    bound = weight[0].numel() ** -0.5  # fan_in: inputs times the kernel's area
    nn.init.uniform_(weight, -bound, bound, generator=generator)
    if bias is not None:
        nn.init.uniform_(bias, -bound, bound, generator=generator)


DRAWS: dict[str, Callable[[torch.Tensor, torch.Tensor | None, torch.Generator], None]] = {
    "kaiming_normal": _kaiming_normal,
    "pytorch": _pytorch,
    "own": lambda weight, bias, generator: None,
}
