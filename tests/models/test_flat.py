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


def test_every_tensor_begins_where_a_kernel_may_read_several_numbers_at_once():
    """On a GPU the statistics of batch norm end in an error (misaligned address) where they do not."""
    network = FlatNetwork(build(CONFIG))
    state = network.model.state_dict(keep_vars=True)
    floating = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
    start = network.vector.data_ptr()
    assert all((tensor.data_ptr() - start) % 64 == 0 for tensor in floating.values())


def test_integers_and_masks_come_with_a_state():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    model.register_buffer("mask", torch.tensor([True, False]))
    network = FlatNetwork(model)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    other = {**state, "mask": ~state["mask"], "1.num_batches_tracked": torch.tensor(7)}
    network.load(other)
    assert network.model.mask.tolist() == [False, True]
    with pytest.raises(ValueError, match="networks that differ in mask cannot be mixed"):
        network.load_discrete([state, other])
    network.load_discrete([other, {**other, "1.num_batches_tracked": torch.tensor(8)}])
    with pytest.raises(ValueError, match=r"tensor mask: expected shape \(2,\)"):
        network.load({name: tensor for name, tensor in state.items() if name != "mask"})
