"""Networks of a user that are valid and unlike ours; a sweep names them `tests.networks:tied`."""

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations


def _layers(shape, *sizes):
    """Linear layers with ReLU between them, without one at the end."""
    sizes, layers = (math.prod(shape), *sizes), [nn.Flatten()]
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def tied(shape, classes, width):
    """Two hidden layers of one weight, so three layers of units that move together."""
    model = _layers(shape, width, width, width, classes)
    model[5].weight = model[3].weight
    return model


class TiedEnds(nn.Module):
    """Embeds images, reconstructs them with the same weight transposed, and embeds them again."""

    def __init__(self, shape, classes, width):
        super().__init__()
        self.embed, self.again = (nn.Linear(math.prod(shape), width) for _ in range(2))
        self.again.weight = self.embed.weight
        self.last = nn.Linear(width, classes)

    def forward(self, images):
        images = images.flatten(1)
        back = functional.linear(functional.relu(self.embed(images)), self.embed.weight.t())
        return self.last(functional.relu(self.again(images - back)))


def tied_ends(shape, classes, width):
    return TiedEnds(shape, classes, width)


def frozen(shape, classes, width):
    """The second of three layers is not trained."""
    model = _layers(shape, width, width, classes)
    model[3].requires_grad_(False)
    return model


class Sometimes(nn.Module):
    """Stochastic depth (Huang et al. 2016): in training a random half of the batches skip a layer."""

    def __init__(self, shape, classes, width):
        super().__init__()
        self.first = nn.Linear(math.prod(shape), width)
        self.middle, self.last = nn.Linear(width, width), nn.Linear(width, classes)

    def forward(self, images):
        hidden = functional.relu(self.first(images.flatten(1)))
        if not self.training or torch.rand(()) > 0.5:
            hidden = hidden + functional.relu(self.middle(hidden))
        return self.last(hidden)


def sometimes(shape, classes, width):
    return Sometimes(shape, classes, width)


class Head(nn.Module):
    """A head that is added to the logits in training alone, or returned beside them (`pair`)."""

    def __init__(self, shape, classes, width, pair=False):
        super().__init__()
        self.body, self.last = _layers(shape, width, width), nn.Linear(width, classes)
        self.head, self.pair = nn.Linear(width, classes), pair

    def forward(self, images):
        hidden = functional.relu(self.body(images))
        logits = self.last(hidden)
        if not self.training:
            return logits
        return (logits, self.head(hidden)) if self.pair else logits + self.head(hidden)


def head(shape, classes, width):
    return Head(shape, classes, width)


def pair(shape, classes, width):
    """As torchvision's GoogLeNet and Inception v3."""
    return Head(shape, classes, width, pair=True)


class Attributes(nn.Module):
    """A plain tensor as an attribute, and one made on the way, as the meta device does not have them."""

    def __init__(self, shape, classes, width):
        super().__init__()
        self.first, self.last = nn.Linear(math.prod(shape), width), nn.Linear(width, classes)
        self.norm = nn.BatchNorm1d(width)
        self.scale = torch.tensor(2.0)

    def forward(self, images):
        hidden = self.norm(self.first(images.flatten(1) * self.scale))
        return self.last(functional.relu(hidden + torch.full((1,), 0.5)))


def attributes(shape, classes, width):
    return Attributes(shape, classes, width)


class Kernel(nn.Module):
    """Two layers whose weights no layer holds as its `weight`, beside a plain one."""

    def __init__(self, shape, classes, width):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(width, math.prod(shape)) / 8)
        self.normed = parametrizations.weight_norm(nn.Linear(width, width))
        self.last = nn.Linear(width, classes)

    def forward(self, images):
        hidden = functional.relu(functional.linear(images.flatten(1), self.kernel))
        return self.last(functional.relu(self.normed(hidden)))


def kernel(shape, classes, width):
    return Kernel(shape, classes, width)


class Recurrent(nn.Module):
    """Reads the rows of an image one after the other."""

    def __init__(self, shape, classes, width, kind=nn.GRU):
        super().__init__()
        self.rows = kind(shape[-1], width, num_layers=2, batch_first=True)
        self.last = nn.Linear(width, classes)

    def forward(self, images):
        return self.last(self.rows(images.squeeze(1))[0][:, -1])


def recurrent(shape, classes, width):
    return Recurrent(shape, classes, width)


def compiled(shape, classes, width):
    """Compiled as a whole and in part."""
    model = _layers(shape, width, width, classes)
    model[3] = torch.compile(model[3])
    model[1].compile()
    return torch.compile(model)


def plain(shape, classes, width):
    """The same without the compiler."""
    return _layers(shape, width, width, classes)


class Odd(nn.Module):
    """Two layers, and between them something that a captured step must repeat or cannot repeat."""

    def __init__(self, shape, classes, width, between):
        super().__init__()
        self.first, self.last = nn.Linear(math.prod(shape), width), nn.Linear(width, classes)
        self.between = between

    def forward(self, images):
        return self.last(self.between(functional.relu(self.first(images.flatten(1)))))


def dropping(shape, classes, width):
    """Draws random numbers on the device."""
    return Odd(shape, classes, width, nn.Dropout(0.5))


class Waits(nn.Module):
    def forward(self, hidden):
        return hidden / 2 if hidden.mean().item() > 1 else hidden


def waiting(shape, classes, width):
    """Decides by a value that the device has computed."""
    return Odd(shape, classes, width, Waits())


class Skips(nn.Module):
    def forward(self, hidden):
        return hidden / 2 if self.training and torch.rand(()) < 0.5 else hidden


def skipping(shape, classes, width):
    """Draws random numbers on the host."""
    return Odd(shape, classes, width, Skips())
