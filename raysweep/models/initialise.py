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

    `kaiming_normal`: variance 2 / fan_in, zero biases (He et al. 2015, the paper's). `pytorch`: the
    default of torch's own layers, uniform weights and biases within 1 / sqrt(fan_in). `own`: what the
    constructor drew stays (`initialised` gives it the seed). All else, such as norms, stays as it was built.
    Raises `ValueError` for another name.
    """
    draw = choose("init", init, DRAWS)
    generator = torch.Generator().manual_seed(seed_for("initialisation", seed))
    for module in model.modules():
        if isinstance(module, LAYERS):
            draw(module.weight, module.bias, generator)


def as_constructed(model: nn.Module, init: str) -> list[str]:
    """Return the parameters of two axes or more, norms aside, that `initialise` leaves as they were made.

    Such are the factors of a parametrised weight (`weight_norm`), whose product is drawn and lost again.
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
