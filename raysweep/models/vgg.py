"""VGG for small images (Simonyan and Zisserman 2015), in the form of the lottery-ticket literature.

Global average pooling and one linear layer replace the three large linear layers.
"""

from functools import partial

import torch
from torch import nn

from raysweep.models.norms import channel_norm, convolution

Stages = tuple[tuple[int, ...], ...]  # convolutions by stage, in multiples of the width


class VGG(nn.Module):
    """Stages of 3x3 convolutions, each with norm and ReLU; width 64 is the standard network.

    Between two stages lies a max pool. A pool is left out where an image has come down to one pixel.
    """

    def __init__(self, stages: Stages, shape: tuple[int, ...], classes: int, width: int, norm: str) -> None:
        super().__init__()
        channels, side = shape[0], min(shape[1:])
        layers: list[nn.Module] = []
        for number, stage in enumerate(stages):
            if number and side > 1:
                layers.append(nn.MaxPool2d(2))
                side //= 2
            for multiple in stage:
                after = multiple * width
                layers += [convolution(norm, channels, after), channel_norm(norm, after), nn.ReLU()]
                channels = after
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(self.features(images).mean((2, 3)))
        return logits


vgg11 = partial(VGG, ((1,), (2,), (4, 4), (8, 8), (8, 8)))
vgg16 = partial(VGG, ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8)))
