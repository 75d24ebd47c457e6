"""BatchNorm statistics of mixed networks, recomputed on training images (REPAIR).

Source: Jordan et al. 2023 (REPAIR, arXiv 2211.08403): an average of two networks has collapsed variances, so
it must not be judged with running statistics that are averages too.
"""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

CHUNK = 1000  # images per forward pass; it decides the bits of a result, so it is not an option


def has_batchnorm(model: nn.Module) -> bool:
    """Whether a network keeps running statistics."""
    return bool(_layers(model))


@torch.no_grad()
def recompute_statistics(model: nn.Module, images: torch.Tensor) -> None:
    """Replace all running means and variances by averages over chunks of images, in place.

    `images` has the shape (examples, ...); examples that do not fill a last chunk are left out, so all
    chunks weigh the same. The model is left in evaluation mode.
    """
    layers = _layers(model)
    momenta = [layer.momentum for layer in layers]
    model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch's name for the cumulative average
        layer.train()
    chunks = images.split(CHUNK)
    try:
        for chunk in chunks[: max(1, len(images) // CHUNK)]:
            model(chunk)
    finally:  # also without memory for it: the next barrier evaluates the same module
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()


def _layers(model: nn.Module) -> list[_BatchNorm]:
    return [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
