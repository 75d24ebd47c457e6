import pytest
import torch
from torch import nn

from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.registry import MODELS, NORMS
from raysweep.symmetry import prove
from tests.symmetry.checks import assert_unchanged, traced

SIZES = {  # in multiples of the width; residual streams are one group per stage
    "mlp": [1, 1, 1],
    "lenet": [1, 8 / 3, 20, 14],
    "vgg11": [1, 2, 4, 4, 8, 8, 8, 8],
    "vgg16": [1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 8, 8, 8],
    "resnet20": [1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4],
    "resnet32": [1] * 6 + [2] * 6 + [4] * 6,
    "vit": [1] + 2 * [1, 1, 4],  # the residual stream; queries and keys, values, and the units with GELU
    "gpt": [1] + 2 * [1, 1, 4],
}


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32)])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", MODELS)
def test_all_groups_are_found_and_proved(name, norm, shape):
    shape = (shape[-1],) if MODELS[name].tokens else shape
    model = build(ModelConfig(name, 6, None, norm, shape, 10))
    spec = traced(model, shape)
    assert list(spec.sizes.values()) == [round(6 * multiple) for multiple in SIZES[name]]
    prove(spec, model, torch.zeros(2, *shape))
    assert_unchanged(spec, model, shape)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["mlp", "vgg16", "resnet20"])
@pytest.mark.parametrize("width", [1, 2])
def test_very_narrow_networks_are_proved(name, norm, width):
    model = build(ModelConfig(name, width, None, norm, (1, 8, 8), 10))
    spec = traced(model, (1, 8, 8))
    assert 1 not in spec.sizes.values()
    prove(spec, model, torch.zeros(2, 1, 8, 8))


TORCHVISION = {  # number of groups, number of units
    "resnet18": (12, 2_880),  # stem, 3 stages and the first of two convolutions in each of 8 blocks
    "resnet50": (37, 11_456),  # stem, 4 stages and the first two of three convolutions in each of 16 blocks
    "resnext50_32x4d": (37, 19_008),  # as resnet50, the first two convolutions twice as wide
    "vgg11": (10, 2_880),  # 8 convolutions and 2 hidden linear layers
    "convnext_tiny": (22, 27_936),  # 4 stages and the expansions of 18 blocks
    "efficientnet_b0": (40, 11_404),
    "densenet121": (120, 10_240),  # stem, 3 transitions and two convolutions in each of 58 layers
    "mobilenet_v2": (25, 9_128),  # stem, head, 16 expansions and 7 stages' residual streams
}


def torchvision_network(name):
    """One of theirs; VGG's hidden linear layers have 64 units, not 4096: 100 million weights less."""
    import torchvision  # takes seconds, which the fast tests are spared

    if not name.startswith("vgg"):
        return getattr(torchvision.models, name)(weights=None)
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(weights=None, init_weights=False)
        model.classifier[0], model.classifier[3] = nn.Linear(512 * 7 * 7, 64), nn.Linear(64, 64)
        model.classifier[6] = nn.Linear(64, 1000)
    model.to_empty(device="cpu")
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_networks(name):
    model = torchvision_network(name)
    spec = traced(model, (3, 32, 32))
    assert (len(spec.sizes), sum(spec.sizes.values())) == TORCHVISION[name]
    prove(spec, model, torch.zeros(2, 3, 32, 32))


@pytest.mark.slow
def test_flattened_channels_keep_their_pixels_together():
    axes = traced(torchvision_network("vgg11"), (3, 32, 32)).axes["classifier.0.weight"]
    assert [(s.group, s.size, s.repeat) for s in axes[1]] == [("features.18", 512 * 49, 49)]


@pytest.mark.slow
def test_each_dense_layer_is_a_segment_of_its_own():
    spec = traced(torchvision_network("densenet121"), (3, 32, 32))
    segments = spec.axes["features.denseblock1.denselayer3.norm1.running_var"][0]
    assert [(s.group.removeprefix("features."), s.size) for s in segments] == [
        ("conv0", 64),
        ("denseblock1.denselayer1.conv2", 32),
        ("denseblock1.denselayer2.conv2", 32),
    ]
