"""Initialisation from an explicit seed."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from raysweep.digest import seed_for
from raysweep.errors import UserError
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.layers import matrices
from raysweep.models.registry import INITS, draws
from raysweep.models.seeding import seeded
from raysweep.registry import arguments, is_own

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
NOTHING: Mapping[str, Any] = {}


def initialised(config: ModelConfig, init: str, seed: int, options: Mapping[str, Any] = NOTHING) -> nn.Module:
    """Build a network on the CPU with its initial weights, which depend on these arguments alone.

    What the constructor draws and `init` does not draw again, such as embeddings, is independent of what
    `init` draws: generators of one seed would repeat the same random numbers.
    """
    model = build(config, seed=seed_for("construction" if draws(init) else "initialisation", seed))
    initialise(model, init, seed, options)
    return model


@torch.no_grad()
def initialise(model: nn.Module, init: str, seed: int, options: Mapping[str, Any] = NOTHING) -> None:
    """Draw initial weights in place, on the CPU.

    Parameters that the function of `init` does not touch, such as those of norms, stay as they were built.
    What a user's function draws from the global generators of torch, numpy and random depends on the seed
    too, and is independent of what it draws from its argument `generator`. Raises `ValueError` for an unknown
    name, and `UserError` where a user's function fails or changes the names, shapes or types of the weights.
    """
    function, seed = INITS.function(init), seed_for("initialisation", seed)
    offered = {"model": model, "generator": torch.Generator().manual_seed(seed), "seed": seed}
    given = arguments(function, offered, options)
    if not is_own(init):
        function(**given)
        return
    before = _form(model)
    try:
        seeded(seed_for("global generators", seed), lambda: function(**given))
    except Exception as error:
        raise UserError(f"init {init!r} fails: {type(error).__name__}: {error}") from error
    changed = [name for name, form in _form(model).items() ^ before.items()]
    if changed:
        raise UserError(f"init {init!r}: changes the shape or type of {changed[0]}; write into it instead")


def _form(model: nn.Module) -> dict[str, Any]:
    return {name: (tuple(each.shape), each.dtype) for name, each in model.state_dict().items()}


def as_constructed(model: nn.Module, init: str, options: Mapping[str, Any] = NOTHING) -> list[str]:
    """Initialise a model; return the parameters of two axes or more, norms aside, that stayed as they were.

    Nothing is returned of an `init` that draws nothing. Examples are the factors of a parametrised weight
    (`weight_norm`): `initialise` draws their product, which the next forward pass computes again from the
    factors.
    """
    if not draws(init):
        return []
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    initialise(model, init, 0, options)
    after = dict(model.named_parameters())
    return [name for name in matrices(model) if torch.equal(before[name], after[name])]


def kaiming_normal(model: nn.Module, generator: torch.Generator) -> None:
    """Draw weights of variance 2 / fan_in and set biases to zero (He et al. 2015; the paper uses it)."""
    for weight, bias in _layers(model):
        nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
        if bias is not None:
            nn.init.zeros_(bias)


def pytorch(model: nn.Module, generator: torch.Generator) -> None:
    """Draw weights and biases uniformly within 1 / sqrt(fan_in), as torch's own layers do."""
    for weight, bias in _layers(model):
        bound = weight[0].numel() ** -0.5  # fan_in: inputs times the kernel's area
        nn.init.uniform_(weight, -bound, bound, generator=generator)
        if bias is not None:
            nn.init.uniform_(bias, -bound, bound, generator=generator)


def own() -> None:
    """Keep what the constructor drew, to which `initialised` gives the seed."""


def _layers(model: nn.Module) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
    """Yield weights and biases of linear layers, and convolutions over one or two axes, in module order."""
    yield from ((module.weight, module.bias) for module in model.modules() if isinstance(module, LAYERS))
