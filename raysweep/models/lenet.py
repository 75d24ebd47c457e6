"""LeNet-5 (LeCun et al. 1998) with ReLU and max pooling."""

import torch
from torch import nn

from raysweep.errors import UserError
from raysweep.models.norms import channel_norm, convolution, linear, unit_norm


class LeNet(nn.Module):
    """Two 5x5 convolutions and three linear layers; width 6 has LeNet-5's 6, 16, 120 and 84 units.

    The convolutions pad by two; the norm precedes each ReLU. Raises `UserError` for images of less than 4x4
    pixels.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, width: int, norm: str) -> None:
        super().__init__()
        channels, height, breadth = shape
        if min(height, breadth) < 4:
            raise UserError(f"lenet needs images of at least 4x4 pixels, not {shape}")
        second, third, fourth = max(1, 8 * width // 3), 20 * width, 14 * width
        self.features = nn.Sequential(
            *_convolution(norm, channels, width),
            *_convolution(norm, width, second),
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(
            *_linear(norm, second * (height // 4) * (breadth // 4), third),
            *_linear(norm, third, fourth),
            nn.Linear(fourth, classes),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(self.features(images))
        return logits


def _convolution(norm: str, before: int, after: int) -> list[nn.Module]:
    return [convolution(norm, before, after, size=5), channel_norm(norm, after), nn.ReLU(), nn.MaxPool2d(2)]


def _linear(norm: str, before: int, after: int) -> list[nn.Module]:
    return [linear(norm, before, after), unit_norm(norm, after), nn.ReLU()]
