import pytest
import torch
from torch import nn

from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork

CONFIG = ModelConfig("resnet20", 3, None, "batch", (1, 8, 8), 10)


def random_state(seed):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(tensor.shape, generator=generator) + 0.5 if tensor.is_floating_point() else tensor
        for name, tensor in build(CONFIG).state_dict().items()
    }


def test_mixing_vectors_mixes_parameters_and_running_statistics():
    one, other = random_state(0), random_state(1)
    network = FlatNetwork(build(CONFIG))
    network.vector.copy_(0.3 * network.flatten(one) + 0.7 * network.flatten(other))
    mixed = {
        name: 0.3 * one[name] + 0.7 * other[name] if one[name].is_floating_point() else one[name]
        for name in one
    }
    expected = build(CONFIG).eval()
    expected.load_state_dict(mixed)
    images = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(network.model(images), expected(images))
    for name, tensor in network.model.state_dict().items():
        torch.testing.assert_close(tensor, mixed[name])


def test_flatten_refuses_a_state_of_another_shape():
    network = FlatNetwork(build(CONFIG))
    state = random_state(0)
    with pytest.raises(ValueError, match=r"norm\.running_mean: expected shape"):
        network.flatten({**state, "norm.running_mean": torch.zeros(4)})
    del state["conv.weight"]
    with pytest.raises(ValueError, match=r"conv\.weight"):
        network.flatten(state)


def test_types_may_not_be_mixed():
    model = build(CONFIG)
    model.norm.double()
    with pytest.raises(ValueError, match="different types"):
        FlatNetwork(model)


class Standardised(nn.Conv2d):
    """A convolution that views its weight as (filters, rest)."""

    def forward(self, input):
        weight = self.weight.view(len(self.weight), -1)
        weight = (weight - weight.mean(1, keepdim=True)).view(self.weight.shape)
        return nn.functional.conv2d(input, weight, self.bias)


def test_a_convolution_of_another_kind_keeps_its_layout():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), Standardised(3, 4, 3), nn.Flatten(), nn.Linear(64, 5)
    )
    images = torch.randn(6, 2, 8, 8)
    expected = model(images).detach()
    network = FlatNetwork(model)
    torch.testing.assert_close(network.model(images), expected)
