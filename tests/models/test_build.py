import pytest
import torch

from raysweep.errors import UserError
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.layers import prunable
from raysweep.models.registry import MODELS, NORMS

IMAGES = [name for name, model in MODELS.items() if not model.tokens]
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32)]


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", IMAGES)
def test_every_network_maps_images_to_logits_in_both_memory_formats(name, norm, shape):
    model = build(ModelConfig(name, 4, None, norm, shape, 7)).eval()
    images = torch.randn(3, *shape)
    logits = model(images)
    assert logits.shape == (3, 7)
    torch.testing.assert_close(model(images.to(memory_format=torch.channels_last)), logits)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", MODELS)
def test_width_scales_every_layer(name, norm):
    shape = (5,) if MODELS[name].tokens else (3, 32, 32)
    sizes = [parameters(build(ModelConfig(name, width, None, norm, shape, 10))) for width in (1, 8, 16)]
    assert sizes[0] < sizes[1] < sizes[2]
    weights = [build(ModelConfig(name, width, None, norm, shape, 10)) for width in (6, 12)]
    for layer, parameter in list(prunable(weights[0]).items())[:-1]:
        narrow, wide = (dict(model.named_parameters())[parameter] for model in weights)
        assert wide.shape[0] == 2 * narrow.shape[0], layer


@pytest.mark.parametrize(
    ("name", "width", "norm", "shape", "expected"),
    [
        ("vgg16", 64, "none", (3, 32, 32), 14_719_818),  # 14,714,688 in torchvision's vgg16.features
        ("vgg11", 64, "none", (3, 32, 32), 9_225_610),  # 9,220,480 in torchvision's vgg11.features
        ("resnet20", 16, "batch", (3, 32, 32), 272_474),  # with projection shortcuts; 0.27M in He et al. 2016
        ("resnet32", 16, "batch", (3, 32, 32), 466_906),  # 0.46M in He et al. 2016
        ("lenet", 6, "none", (1, 28, 28), 107_786),  # LeNet-5 has 61,706: 5x5 and not 7x7 pixels at the end
    ],
)
def test_published_numbers_of_parameters(name, width, norm, shape, expected):
    assert parameters(build(ModelConfig(name, width, None, norm, shape, 10))) == expected


def test_depth_is_three_by_default():
    model, same = (build(ModelConfig("mlp", 8, depth, "none", (1, 8, 8), 10)) for depth in (None, 3))
    assert list(model.state_dict()) == list(same.state_dict())
    assert list(prunable(model)) == ["layers.1", "layers.3", "layers.5", "layers.7"]


def test_bias_stands_before_layer_norm_and_not_before_batch_norm():
    with_bias = {
        norm: "features.0.bias" in build(ModelConfig("vgg11", 2, None, norm, (1, 8, 8), 10)).state_dict()
        for norm in NORMS
    }
    assert with_bias == {"none": True, "layer": True, "batch": False}


def test_build_depends_on_its_seed_and_leaves_the_global_state():
    config = ModelConfig("resnet20", 2, None, "batch", (1, 8, 8), 10)
    before = torch.get_rng_state()
    one, same, other = (build(config, seed).conv.weight for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("model", "norm", "shape", "message"),
    [
        ("vgg", "none", (1, 8, 8), "unknown model 'vgg'; did you mean 'vgg1"),
        ("mlp", "group", (1, 8, 8), "unknown norm 'group'; valid choices: none, layer, batch"),
        ("lenet", "none", (1, 3, 8), "at least 4x4"),
        ("gpt", "none", (1, 8, 8), "needs sequences of tokens"),
    ],
)
def test_unknown_names_are_refused(model, norm, shape, message):
    with pytest.raises((UserError, ValueError), match=message):
        build(ModelConfig(model, 4, None, norm, shape, 10))
