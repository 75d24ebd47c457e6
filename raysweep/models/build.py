"""Networks by name."""

from torch import nn

from raysweep.models.config import ModelConfig
from raysweep.models.custom import build_custom
from raysweep.models.registry import MODELS, NORMS
from raysweep.models.seeding import seeded
from raysweep.registry import arguments, is_own


def build(config: ModelConfig, seed: int = 0) -> nn.Module:
    """Build the network on the CPU; what its constructor draws depends on `seed` alone.

    The global generators of torch, numpy and random are left as they were. Raises `ValueError` for an unknown
    model or norm, and `UserError` for images that are too small and for a user's own network that cannot be
    built.
    """
    return seeded(seed, lambda: (build_custom if is_own(config.model) else _build_ours)(config))


def _build_ours(config: ModelConfig) -> nn.Module:
    function = MODELS.function(config.model)
    NORMS[config.norm]  # also for a model that does not read it
    offered = {"depth": MODELS[config.model].depth, **config.offered()}
    model: nn.Module = function(**arguments(function, offered, {}))
    return model
