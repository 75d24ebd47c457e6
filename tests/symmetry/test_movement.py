import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from raysweep.symmetry import Movement, PermutationSpec
from tests.symmetry.test_refusals import Between


class Convolutions(nn.Module):
    """A convolution and one of two blocks, with or without a shuffle of the channels between them."""

    def __init__(self, shuffled):
        super().__init__()
        self.shuffled = shuffled
        self.first, self.second = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, groups=2)
        self.last = nn.Linear(8 * 16, 3)

    def forward(self, images):
        hidden = torch.relu(self.first(images))
        if self.shuffled:
            hidden = hidden.view(-1, 2, 4, 6, 6).transpose(1, 2).reshape(-1, 8, 6, 6)
        return self.last(torch.relu(self.second(hidden)).flatten(1))


@pytest.mark.parametrize("shuffled", [False, True], ids=["blocks", "shuffle"])
def test_units_that_move_in_blocks_are_counted_as_units(shuffled):
    spec = PermutationSpec.trace(Convolutions(shuffled), torch.zeros(2, 1, 8, 8))
    assert spec.movement == Movement(0, 16, 0)


def test_flattened_channels_move_freely():
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    spec = PermutationSpec.trace(network, torch.zeros(2, 1, 8, 8), proved=False)
    assert spec.movement == Movement(4, 0, 0)


class Standardised(nn.Conv2d):
    def forward(self, images):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(images, weight / weight.std((1, 2, 3), keepdim=True), self.bias)


COMPUTED = {
    "weight norm": parametrizations.weight_norm(nn.Conv2d(3, 5, 3)),
    "spectral norm": parametrizations.spectral_norm(nn.Conv2d(3, 5, 3)),
    "standardised": Standardised(3, 5, 3),
}


@pytest.mark.parametrize("kind", COMPUTED)
def test_inputs_and_pixels_of_weights_that_are_computed_are_no_units(kind):
    network = nn.Sequential(COMPUTED[kind], nn.ReLU(), nn.Flatten(), nn.Linear(5 * 4, 3))
    spec = PermutationSpec.trace(network, torch.zeros(2, 3, 4, 4))
    assert (spec.movement, spec.left_alone) == (Movement(5, 0, 0), ())


def test_a_network_in_which_nothing_moves_comes_with_a_warning():
    gated = Between(lambda net, x: torch.cat([x[:, ::2] * x[:, 1::2]] * 2, 1))
    with pytest.warns(UserWarning, match=r"Between: of 6 hidden units 0 \(0%\) can be .* 6 \(100%\) stay"):
        spec = PermutationSpec.trace(gated, torch.zeros(2, 4))
    assert spec.movement == Movement(0, 0, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PermutationSpec.trace(Between(lambda net, x: torch.relu(x)), torch.zeros(2, 4))
