"""Normalisation layers, and the layers before them, by the name of the norm."""

import torch
from torch import nn
from torch.nn import functional

from raysweep.models.registry import NORMS


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel of (batch, channels, height, width), as in the paper.

    One scale and one shift per channel. The result lies in memory with the channels last, whatever the
    order of the input, so that the transpositions are free in all layers but the first.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        pixels = input.permute(0, 2, 3, 1)
        normalised = functional.layer_norm(pixels, self.normalized_shape, self.weight, self.bias, self.eps)
        return normalised.permute(0, 3, 1, 2)


def no_norm(units: int, pixels: bool) -> nn.Module:
    return nn.Identity()


def layer_norm(units: int, pixels: bool) -> nn.Module:
    return ChannelLayerNorm(units) if pixels else nn.LayerNorm(units)


def batch_norm(units: int, pixels: bool) -> nn.Module:
    return nn.BatchNorm2d(units) if pixels else nn.BatchNorm1d(units)


def unit_norm(norm: str, units: int) -> nn.Module:
    """Return the layer that normalises (batch, units). Raises `ValueError` for another norm."""
    return _norm(norm, units, pixels=False)


def channel_norm(norm: str, channels: int) -> nn.Module:
    """Return the layer that normalises (batch, channels, height, width). Raises `ValueError`."""
    return _norm(norm, channels, pixels=True)


def _norm(name: str, units: int, pixels: bool) -> nn.Module:
    layer: nn.Module = NORMS.function(name)(units, pixels)
    return layer


def linear(norm: str, before: int, after: int) -> nn.Linear:
    """Return a linear layer to be followed by a norm, which decides whether it has a bias."""
    return nn.Linear(before, after, bias=NORMS[norm].bias)


def convolution(norm: str, before: int, after: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """Return a convolution to be followed by a norm; only its stride changes height and width.

    Batch norm would subtract a bias again, so the convolution has none before it. LayerNorm subtracts only
    the mean over the channels, so there a bias per channel has an effect.
    """
    return nn.Conv2d(before, after, size, stride, padding=size // 2, bias=NORMS[norm].bias)
