"""Normalisation layers by name: `none`, `layer` or `batch`."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from raysweep.choices import choose


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel of (batch, channels, height, width), as in the paper.

    One scale and one shift per channel. The result lies in memory with the channels last, whatever the
    order of the input, so that the transpositions are free in all layers but the first.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        pixels = input.permute(0, 2, 3, 1)
        normalised = functional.layer_norm(pixels, self.normalized_shape, self.weight, self.bias, self.eps)
        return normalised.permute(0, 3, 1, 2)


UNIT_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": nn.Identity,
    "layer": nn.LayerNorm,
    "batch": nn.BatchNorm1d,
}
CHANNEL_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": nn.Identity,
    "layer": ChannelLayerNorm,
    "batch": nn.BatchNorm2d,
}


def unit_norm(norm: str, units: int) -> nn.Module:
    """Return the layer that normalises (batch, units). Raises `ValueError` for another norm."""
    return choose("norm", norm, UNIT_NORMS)(units)


def channel_norm(norm: str, channels: int) -> nn.Module:
    """Return the layer that normalises (batch, channels, height, width). Raises `ValueError`."""
    return choose("norm", norm, CHANNEL_NORMS)(channels)


def convolution(norm: str, before: int, after: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """Return a convolution to be followed by a norm; only its stride changes height and width.

    Batch norm would subtract a bias again, so the convolution has none before it. LayerNorm subtracts only
    the mean over the channels, so there a bias per channel has an effect.
    """
    return nn.Conv2d(before, after, size, stride, padding=size // 2, bias=norm != "batch")
