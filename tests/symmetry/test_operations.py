"""Each operation in a small network: the groups that are expected, and the proof that they are right."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from raysweep.symmetry import prove
from tests.symmetry.checks import assert_unchanged, traced

pytestmark = pytest.mark.versions

SHAPE = (3, 8, 8)


class Network(nn.Module):
    """Two convolutions with 6 channels and a head, and something between them."""

    def __init__(self, between, channels=6, bias=True, **modules):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1, bias=bias)
        self.between = between
        for name, module in modules.items():
            setattr(self, name, module)
        self.second = nn.Conv2d(channels, 4, 1)
        self.head = nn.Linear(4, 5)

    def forward(self, images):
        hidden = self.between(self, self.first(images))
        return self.head(torch.relu(self.second(hidden)).mean((2, 3)))


class InPlace(nn.Module):
    """An addition in place."""

    def forward(self, input):
        output = 2 * input
        output += input.clamp(0, 1)
        return output


def shuffle(net, x):
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def excite(net, x):
    return x * torch.sigmoid(net.up(functional.silu(net.down(x.mean((2, 3), keepdim=True)))))


def shortcut(net, x):
    return net.more(x[:, :, ::2, ::2]) + functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))


def halves(net, x):
    left, right = x.chunk(2, dim=1)
    return torch.cat([left, net.right(right)], 1)


BOTH = {"first": 6, "second": 4}
MODULES = {
    "norms": [nn.BatchNorm2d(6), nn.InstanceNorm2d(6), nn.GroupNorm(1, 6), nn.GroupNorm(6, 6)],
    "activations": [nn.GELU(), nn.Hardswish(), nn.ReLU6(), nn.PReLU(), nn.PReLU(6), nn.Dropout(0.5)],
    "pools": [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(3), nn.AdaptiveMaxPool2d(2)],
    "others": [nn.Upsample(scale_factor=2), nn.Identity(), nn.LayerNorm([6, 8, 8]), InPlace()],
    "sequence": [nn.Sequential(nn.BatchNorm2d(6), nn.Hardtanh(), nn.MaxPool2d(2))],
}


@pytest.mark.parametrize("module", [m for kind in MODULES.values() for m in kind], ids=str)
def test_modules_that_keep_channels_apart(module):
    bias = not isinstance(module, (nn.InstanceNorm2d, nn.GroupNorm))  # they subtract it again
    check(Network(lambda net, x: net.module(x), bias=bias, module=module), BOTH)


CASES = {
    "maximum of two": (lambda net, x: torch.max(x, net.conv(x)), {"conv": nn.Conv2d(6, 6, 1)}, 6, BOTH),
    "minimum of two": (lambda net, x: x.min(other=torch.zeros(())), {}, 6, BOTH),
    "axis": (lambda net, x: x * x.mean(axis=(2, 3), keepdims=True), {}, 6, BOTH),
    "unbiased": (lambda net, x: x * x.var((2, 3), True, True), {}, 6, BOTH),
    "norm": (lambda net, x: x / x.norm(2, 1, True), {}, 6, BOTH),
    "relu6": (lambda net, x: functional.relu6(x), {}, 6, BOTH),
    "clamp": (lambda net, x: x.clamp(-1, 2).mul_(3) / 2 - 1, {}, 6, BOTH),
    "dropout": (lambda net, x: functional.dropout(x, 0.5, net.training), {}, 6, BOTH),
    "interpolate": (lambda net, x: functional.interpolate(x, scale_factor=2), {}, 6, BOTH),
    "max_pool": (lambda net, x: functional.max_pool2d(functional.avg_pool2d(x, 2), 2), {}, 6, BOTH),
    "adaptive": (lambda net, x: functional.adaptive_max_pool2d(x, 2), {}, 6, BOTH),
    "depthwise": (
        lambda net, x: net.conv(x),
        {"conv": nn.Conv2d(6, 6, 3, groups=6)},
        6,
        BOTH,
    ),
    "depthwise, multiplier": (
        lambda net, x: net.conv(x),
        {"conv": nn.Conv2d(6, 12, 3, groups=6, bias=False)},
        12,
        {"first": 6, "conv": 12, "second": 4},
    ),
    "grouped": (
        lambda net, x: net.conv(x),
        {"conv": nn.Conv2d(6, 9, 3, groups=3)},
        9,
        {"first": 6, "conv": 9, "second": 4},
    ),
    "transposed": (
        lambda net, x: net.conv(x),
        {"conv": nn.ConvTranspose2d(6, 7, 2, stride=2)},
        7,
        {"first": 6, "conv.weight@1": 7, "second": 4},
    ),
    "group norm": (
        lambda net, x: net.norm(x),
        {"norm": nn.GroupNorm(2, 6)},
        6,
        BOTH,
    ),
    "residual": (
        lambda net, x: x + net.conv(x),
        {"conv": nn.Conv2d(6, 6, 1)},
        6,
        BOTH,
    ),
    "shared": (
        lambda net, x: net.conv(torch.relu(net.conv(x))),
        {"conv": nn.Conv2d(6, 6, 1)},
        6,
        BOTH,
    ),
    "concatenation": (
        lambda net, x: torch.cat([x, net.conv(x), x], dim=1),
        {"conv": nn.Conv2d(6, 2, 1)},
        14,
        {"first": 6, "conv": 2, "second": 4},
    ),
    "unlike concatenations": (
        lambda net, x: torch.cat([net.a(x), net.b(x)], 1) + x,
        {"a": nn.Conv2d(6, 4, 1), "b": nn.Conv2d(6, 2, 1)},
        6,
        {"first[0:4]": 4, "first[4:6]": 2, "second": 4},
    ),
    "concatenated pixels": (lambda net, x: torch.cat([x, x], -1), {}, 6, BOTH),
    "stack": (lambda net, x: torch.stack([x, 2 * x], dim=2).mean(2), {}, 6, BOTH),
    "chunk": (
        halves,
        {"right": nn.Conv2d(3, 3, 1)},
        6,
        {"first[0:3]": 3, "first[3:6]": 3, "right": 3, "second": 4},
    ),
    "slices": (
        lambda net, x: torch.cat([x[:, 1:4, None, 2:].squeeze(2), x[..., 0:1, 2:, :], x[:, 4:, 2:]], 1),
        {},
        6,
        {"first[1:4]": 3, "first[4:6]": 2, "second": 4},
    ),
    "integer index": (
        lambda net, x: x * x[:, 2:3] + x[:, 2].unsqueeze(1),
        {},
        6,
        {"first[0:2]": 2, "first[3:6]": 3, "second": 4},
    ),
    "padded shortcut": (
        shortcut,
        {"more": nn.Conv2d(6, 10, 1)},
        10,
        {"first": 6, "more[0:2]": 2, "more[8:10]": 2, "second": 4},
    ),
    "channel shuffle": (shuffle, {}, 6, {"first.blocks": 2, "first.units": 3, "second": 4}),
    "squeeze and excitation": (
        excite,
        {"down": nn.Conv2d(6, 2, 1), "up": nn.Conv2d(2, 6, 1)},
        6,
        {"first": 6, "down": 2, "second": 4},
    ),
    "scale": (
        lambda net, x: (x.permute(0, 2, 3, 1) * net.scale + net.shift.view(1, 6)).permute(0, 3, 1, 2),
        {"scale": nn.Parameter(torch.ones(6)), "shift": nn.Parameter(torch.ones(6, 1, 1))},
        6,
        BOTH,
    ),
    "functional norms": (
        lambda net, x: functional.batch_norm(
            functional.layer_norm(x.transpose(1, 3), (6,), net.scale).transpose(1, 3), net.mean, net.variance
        ),
        {
            "scale": nn.Parameter(torch.ones(6)),
            "mean": nn.Buffer(torch.ones(6)),
            "variance": nn.Buffer(torch.ones(6)),
        },
        6,
        BOTH,
    ),
    "computed with buffers": (
        lambda net, x: x * net.variance.rsqrt().view(6, 1, 1),
        {"variance": nn.Buffer(torch.ones(6))},
        6,
        BOTH,
    ),
    "functional convolution": (
        lambda net, x: functional.conv2d(x, net.kernel, padding=1),
        {"kernel": nn.Parameter(torch.ones(6, 6, 3, 3))},
        6,
        {"first": 6, "kernel": 6, "second": 4},
    ),
    "product": (
        lambda net, x: (
            (x.permute(0, 2, 3, 1).reshape(-1, 6) @ net.matrix.t())
            .view(x.size(0), 8, 8, -1)
            .permute(0, 3, 1, 2)
        ),
        {"matrix": nn.Parameter(torch.ones(7, 6))},
        7,
        {"first": 6, "matrix": 7, "second": 4},
    ),
    "expand": (lambda net, x: x + x.mean(1, keepdim=True).expand_as(x), {}, 6, BOTH),
}


@pytest.mark.parametrize("case", CASES)
def test_operation(case):
    between, modules, channels, sizes = CASES[case]
    check(Network(between, channels, **modules), sizes)


def test_layers_of_vectors_and_sequences():
    model = nn.Sequential(
        nn.Conv1d(3, 6, 3),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.AvgPool1d(2),
        nn.Flatten(),
        nn.Linear(18, 5),
        nn.RMSNorm(5),
        nn.Unflatten(1, (5, 1)),
        nn.Flatten(),
        nn.Linear(5, 4, bias=False),
        nn.BatchNorm1d(4),
        nn.Linear(4, 2),
    )
    check(model, {"0": 6, "5": 5, "9": 4}, (3, 8))


def test_pixels_flattened_before_their_channels():
    model = Network(lambda net, x: net.wide(x.permute(0, 2, 3, 1).flatten(1)).view(x.shape[0], -1, 1, 1), 7)
    model.wide = nn.Linear(6 * 64, 7)
    check(model, {"first": 6, "wide": 7, "second": 4})
    segments = traced(model, SHAPE).axes["wide.weight"][1]
    assert [(s.group, s.size, s.repeat) for s in segments] == [("first", 6, 1)] * 64


def test_tied_weights_move_together_and_are_matched_once():
    model = nn.Sequential(
        nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.Linear(6, 3)
    )
    model[4].weight = model[2].weight
    spec = traced(model, (4,))
    assert spec.sizes == {"0": 6}
    assert spec.buffers == {"4.weight"}
    assert spec.axes["4.weight"] == spec.axes["2.weight"]
    prove(spec, model, torch.zeros(2, 4))
    assert_unchanged(spec, model, (4,))


def check(model, sizes, shape=SHAPE):
    spec = traced(model, shape)
    assert spec.sizes == sizes
    prove(spec, model, torch.zeros(2, *shape))
    assert_unchanged(spec, model, shape)
