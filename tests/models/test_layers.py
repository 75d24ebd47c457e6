from torch import nn

from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.layers import matrices, prunable
from tests.networks import TiedEnds


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


def test_tied_layers_have_one_name():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    assert prunable(model) == {"0": "0.weight", "1": "1.weight", "2": "0.weight"}
    model = TiedEnds((1, 2, 2), 3, 5)
    model.register_parameter("shared", model.embed.weight)  # of the network itself: the first name of all
    assert prunable(model) == {"embed": "shared", "again": "shared", "last": "last.weight"}


def test_matrices_are_all_weights_but_those_of_norms():
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm((2, 6)), nn.MultiheadAttention(4, 2))
    assert matrices(model) == ["0.weight", "2.in_proj_weight", "2.out_proj.weight"]
