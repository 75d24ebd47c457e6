from torch import nn

from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.layers import prunable


def test_layers_are_listed_in_order_and_the_output_is_last():
    layers = prunable(build(ModelConfig("resnet20", 2, None, "layer", (1, 8, 8), 10)))
    assert len(layers) == 20 + 2  # two projections
    assert next(iter(layers)) == "conv"
    assert layers["blocks.3.shortcut.0"] == "blocks.3.shortcut.0.weight"
    assert list(layers.values())[-1] == "classifier.weight"


def test_norms_are_no_layers():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.LayerNorm((2, 6, 6)), nn.PReLU(2), nn.BatchNorm2d(2))
    assert prunable(model) == {"0": "0.weight"}
    assert prunable(nn.Linear(2, 2)) == {"": "weight"}
