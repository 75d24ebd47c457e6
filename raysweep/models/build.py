"""Networks by name."""

from collections.abc import Callable

from torch import nn

from raysweep.choices import choose
from raysweep.errors import UserError
from raysweep.models.config import ModelConfig
from raysweep.models.custom import build_custom
from raysweep.models.lenet import LeNet
from raysweep.models.mlp import DEPTH, MLP
from raysweep.models.names import MODELS, NORMS
from raysweep.models.resnet import BLOCKS, ResNet
from raysweep.models.seeding import seeded
from raysweep.models.vgg import STAGES, VGG
from raysweep.registry import is_own

__all__ = ["MODELS", "NORMS", "ModelConfig", "build"]


def build(config: ModelConfig, seed: int = 0) -> nn.Module:
    """Build the network on the CPU; what its constructor draws depends on `seed` alone.

    The global generators of torch, numpy and random are left as they were. Raises `UserError` for an unknown
    model or norm, for images that are too small, and for a user's own network that cannot be built.
    """
    _check(config)
    return seeded(seed, lambda: build_custom(config) if is_own(config.model) else _build_ours(config))


def _check(config: ModelConfig) -> None:
    if config.model not in MODELS and not is_own(config.model):
        raise UserError(f"unknown model {config.model!r}; valid: {', '.join(MODELS)}, or module:function")
    if config.norm not in NORMS:
        raise UserError(f"unknown norm {config.norm!r}; valid: {', '.join(NORMS)}")
    if config.model == "lenet" and min(config.shape[1:]) < 4:
        raise UserError(f"lenet needs images of at least 4x4 pixels, not {config.shape}")


def _build_ours(config: ModelConfig) -> nn.Module:
    shape, classes, width, norm = config.shape, config.classes, config.width, config.norm
    depth = DEPTH if config.depth is None else config.depth
    ours: dict[str, Callable[[], nn.Module]] = {
        "mlp": lambda: MLP(shape, classes, width, depth, norm),
        "lenet": lambda: LeNet(shape, classes, width, norm),
        **dict.fromkeys(STAGES, lambda: VGG(config.model, shape, classes, width, norm)),
        **dict.fromkeys(BLOCKS, lambda: ResNet(config.model, shape, classes, width, norm)),
    }
    return choose("model", config.model, ours)()
