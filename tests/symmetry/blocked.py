"""Networks whose hidden units lie in blocks, with the groups and blocks that they have."""

import torch
from torch import nn
from torch.nn import functional

from raysweep.symmetry.axes import Blocks

SHAPE = (2, 6, 6)


class ResNeXtBlock(nn.Module):
    """1x1, grouped 3x3, 1x1, with a norm after each and a shortcut."""

    def __init__(self, norm, stream=8, width=12, groups=3):
        super().__init__()
        self.stem = nn.Conv2d(2, stream, 3)
        self.first, self.second = nn.Conv2d(stream, width, 1), nn.Conv2d(width, width, 3, 1, 1, groups=groups)
        self.third, self.head = nn.Conv2d(width, stream, 1), nn.Linear(stream, 5)
        self.norms = nn.ModuleList([norm(width), norm(width), norm(stream)])

    def forward(self, images):
        stream = torch.relu(self.stem(images))
        inner = torch.relu(self.norms[0](self.first(stream)))
        inner = torch.relu(self.norms[1](self.second(inner)))
        return self.head(torch.relu(stream + self.norms[2](self.third(inner))).mean((2, 3)))


def sequence(*layers, channels, shape=SHAPE):
    """A convolution to 6 channels, layers that lead to `channels` of them, and a linear head."""
    return nn.Sequential(nn.Conv2d(shape[0], 6, 3), *layers, nn.Flatten(), nn.Linear(16 * channels, 5))


class Shared(nn.Module):
    """One grouped convolution twice; its weight standardised and masked."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(2, 6, 3), nn.Conv2d(6, 3, 1)
        self.weight = nn.Parameter(torch.ones(6, 3, 3, 3))
        self.mask = nn.Buffer(torch.ones(6, 3, 3, 3))

    def forward(self, images):
        weight = (self.weight - self.weight.mean((1, 2, 3), keepdim=True)) * self.mask
        hidden = self.first(images)
        for _ in range(2):
            hidden = torch.relu(functional.conv2d(hidden, weight, padding=1, groups=2))
        return self.last(hidden).mean((2, 3))


class Scaled(nn.Module):
    """The weight is scaled by one number for each place inside the blocks, which therefore have an order."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(2, 6, 3), nn.Conv2d(4, 3, 1)
        self.weight, self.scale = nn.Parameter(torch.ones(4, 3, 3, 3)), nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, images):
        return self.last(functional.conv2d(self.first(images), self.weight * self.scale, groups=2)).mean(
            (2, 3)
        )


class Halves(nn.Module):
    """A grouped convolution of two concatenated layers, whose result is taken apart between its blocks."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(2, 6, 3), nn.Conv2d(2, 6, 3)
        self.grouped, self.last = nn.Conv2d(12, 16, 3, groups=4), nn.Conv2d(8, 3, 1)

    def forward(self, images):
        one, other = self.grouped(torch.relu(torch.cat([self.left(images), self.right(images)], 1))).chunk(
            2, 1
        )
        return self.last(torch.relu(one)).mean((2, 3)) - self.last(torch.tanh(other)).mean((2, 3))


CASES = {
    "units": (
        sequence(nn.ReLU(), nn.Conv2d(6, 4, 1, groups=2), nn.ReLU(), channels=4),
        {"0": 6, "2": 4},
        [Blocks(2, ("0", "2"))],
    ),
    "one unit in": (
        sequence(nn.ReLU(), nn.Conv2d(6, 18, 1, groups=6), nn.ReLU(), channels=18),
        {"0": 6, "2": 18},
        [Blocks(6, ("0", "2"))],
    ),
    "one unit out": (
        sequence(nn.ReLU(), nn.Conv2d(6, 3, 1, groups=3), nn.ReLU(), channels=3),
        {"0": 6, "2": 3},
        [Blocks(3, ("0", "2"))],
    ),
    "depthwise": (sequence(nn.ReLU(), nn.Conv2d(6, 6, 1, groups=6), nn.ReLU(), channels=6), {"0": 6}, []),
    "two in turn": (
        sequence(
            nn.Conv2d(6, 9, 1, groups=3), nn.ReLU(), nn.Conv2d(9, 6, 1, groups=3), nn.ReLU(), channels=6
        ),
        {"0": 6, "1": 9, "3": 6},
        [Blocks(3, ("0", "1", "3"))],
    ),
    "many blocks": (
        sequence(
            *(nn.ReLU(), nn.Conv2d(6, 24, 1), nn.ReLU(), nn.Conv2d(24, 36, 1, groups=12), nn.ReLU()),
            channels=36,
        ),
        {"0": 6, "2": 24, "4": 36},
        [Blocks(12, ("2", "4"))],
    ),
    "norm": (sequence(nn.GroupNorm(3, 6), nn.ReLU(), channels=6), {"0": 6}, [Blocks(3, ("0",))]),
    "norm after": (
        sequence(nn.Conv2d(6, 8, 1, groups=2), nn.GroupNorm(2, 8), nn.ReLU(), channels=8),
        {"0": 6, "1": 8},
        [Blocks(2, ("0", "1"))],
    ),
    "norms of one and all": (
        sequence(nn.ReLU(), nn.GroupNorm(6, 6), nn.ReLU(), nn.GroupNorm(1, 6), channels=6),
        {"0": 6},
        [],
    ),
    "norms that cross": (  # only inside what both leave together
        sequence(nn.GroupNorm(2, 6), nn.ReLU(), nn.GroupNorm(3, 6), nn.ReLU(), channels=6),
        {"0[0:2]": 2, "0[4:6]": 2},
        [],
    ),
    "blocks in blocks": (  # the outer ones keep their order
        sequence(nn.Conv2d(6, 8, 1), nn.GroupNorm(4, 8), nn.Conv2d(8, 4, 1, groups=2), nn.ReLU(), channels=4),
        {"0": 6, "1[0:4]": 4, "1[4:8]": 4, "3[0:2]": 2, "3[2:4]": 2},
        [Blocks(2, ("1[0:4]",)), Blocks(2, ("1[4:8]",))],
    ),
    "block of resnext": (
        ResNeXtBlock(nn.BatchNorm2d),
        {"stem": 8, "first": 12, "second": 12},
        [Blocks(3, ("first", "second"))],
    ),
    "resnext with group norm": (
        ResNeXtBlock(lambda width: nn.GroupNorm(width // 4, width)),
        {"stem": 8, "first": 12, "second": 12},
        [Blocks(2, ("stem",)), Blocks(3, ("first", "second"))],
    ),
    "shared, standardised and masked": (Shared(), {"weight": 6}, [Blocks(2, ("weight",))]),
    "scaled in its blocks": (
        Scaled(),
        {"weight": 4, "weight.blocks": 2},
        [Blocks(2, ("weight", "weight.blocks"))],
    ),
    "halves": (
        Halves(),
        {"left": 6, "right": 6, "grouped[0:8]": 8},
        [Blocks(2, ("left", "right", "grouped[0:8]"))],
    ),
}
