"""Networks by name."""

from dataclasses import dataclass

import torch
from torch import nn

from raysweep.models.mlp import MLP
from raysweep.models.names import MODELS, NORMS

__all__ = ["MODELS", "NORMS", "ModelConfig", "build"]


@dataclass(frozen=True)
class ModelConfig:
    """What determines an architecture; `shape` is (channels, height, width) of the input."""

    model: str
    width: int
    depth: int
    norm: str
    shape: tuple[int, int, int]
    classes: int


def build(config: ModelConfig) -> nn.Module:
    """Build the network on the CPU without touching the global random state."""
    with torch.random.fork_rng(devices=[]):
        return MLP(config.shape, config.classes, config.width, config.depth, config.norm)
