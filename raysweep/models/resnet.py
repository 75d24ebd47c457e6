"""Residual networks for small images (He et al. 2016, section 4.2), with projection shortcuts."""

from functools import partial

import torch
from torch import nn
from torch.nn import functional

from raysweep.models.norms import channel_norm, convolution


class Block(nn.Module):
    """Two 3x3 convolutions plus their input, through a 1x1 convolution and norm where the shape changes."""

    def __init__(self, before: int, after: int, stride: int, norm: str) -> None:
        super().__init__()
        self.conv1 = convolution(norm, before, after, stride=stride)
        self.norm1 = channel_norm(norm, after)
        self.conv2 = convolution(norm, after, after)
        self.norm2 = channel_norm(norm, after)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            projection = convolution(norm, before, after, size=1, stride=stride)
            self.shortcut = nn.Sequential(projection, channel_norm(norm, after))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        hidden = functional.relu(self.norm1(self.conv1(input)))
        return functional.relu(self.norm2(self.conv2(hidden)) + self.shortcut(input))


class ResNet(nn.Module):
    """Three stages of as many blocks, of width, 2 width and 4 width channels; the standard width is 16."""

    def __init__(
        self, stage_blocks: int, shape: tuple[int, ...], classes: int, width: int, norm: str
    ) -> None:
        super().__init__()
        self.conv = convolution(norm, shape[0], width)
        self.norm = channel_norm(norm, width)
        blocks, channels = [], width
        for stage in range(3):
            for number in range(stage_blocks):
                stride = 2 if stage and not number else 1
                blocks.append(Block(channels, width << stage, stride, norm))
                channels = width << stage
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = functional.relu(self.norm(self.conv(images)))
        logits: torch.Tensor = self.classifier(self.blocks(hidden).mean((2, 3)))
        return logits


resnet20 = partial(ResNet, 3)
resnet32 = partial(ResNet, 5)
