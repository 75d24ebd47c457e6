"""The vision transformer (Dosovitskiy et al. 2021) for small images."""

import torch
from torch import nn
from torch.nn import functional

from raysweep.models.transformer import Block, TokenNorm, embedding

GRID = 4  # patches along the shorter side of an image


class VisionTransformer(nn.Module):
    """`depth` blocks with a residual stream of `width` units, which read 4 x 4 patches of a square image.

    A patch has a quarter of the shorter side (2 pixels of 8, 7 of 28, 8 of 32); pixels past the last whole
    patch are not read. The logits are read from a class token in front of the patches. Its input is the same
    for all images, so the first of the learned positions stands for it alone. For images of fewer than four
    pixels a patch is one pixel.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, width: int, depth: int, norm: str) -> None:
        super().__init__()
        channels, height, breadth = shape
        side = max(1, min(height, breadth) // GRID)
        self.patches = nn.Conv2d(channels, width, side, stride=side)
        self.positions = embedding(1 + (height // side) * (breadth // side), width)
        self.blocks = nn.Sequential(*(Block(width, norm, causal=False) for _ in range(depth)))
        self.norm = TokenNorm(norm, width)
        self.classifier = nn.Linear(width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = self.patches(images).flatten(2).transpose(1, 2)
        tokens = functional.pad(patches, (0, 0, 1, 0)) + self.positions
        logits: torch.Tensor = self.classifier(self.norm(self.blocks(tokens))[:, 0])
        return logits
