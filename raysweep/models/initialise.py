"""Initialisation from an explicit seed."""

import torch
from torch import nn

from raysweep.digest import seed_for
from raysweep.models.names import INITS


@torch.no_grad()
def initialise(model: nn.Module, init: str, seed: int) -> None:
    """Draw all weights on the CPU in module order, so the device does not matter.

    `kaiming_normal`: variance 2 / fan_in, zero biases (He et al. 2015, the paper's). `pytorch`: the
    default of torch's own layers, uniform weights and biases within 1 / sqrt(fan_in).
    Raises `ValueError` for another name.
    """
    if init not in INITS:
        raise ValueError(f"unknown init {init!r}; valid: {', '.join(INITS)}")
    generator = torch.Generator().manual_seed(seed_for("initialisation", seed))
    for module in model.modules():
        if isinstance(module, nn.Linear):
            if init == "kaiming_normal":
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                nn.init.zeros_(module.bias)
            else:
                bound = module.in_features**-0.5
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
