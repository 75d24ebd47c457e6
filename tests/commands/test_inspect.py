"""`raysweep inspect` lists what can be permuted, and says what is refused."""

import math

import pytest
from typer.testing import CliRunner

from raysweep.cli import app
from raysweep.commands.inspect import inspection, permutations_log10
from raysweep.errors import UserError
from raysweep.models.config import ModelConfig
from raysweep.symmetry import PermutationSpec
from tests.symmetry.test_transformers import CASES

NETWORK = """
from torch import nn

class Sorted(nn.Module):
    def forward(self, x):
        return x.sort(1).values

def build(shape, classes, width):
    layers = [nn.Flatten(), nn.Linear(16, width), nn.ReLU(), nn.Linear(width, 5), Sorted()]
    return nn.Sequential(*layers, nn.Linear(5, classes))
"""


def test_groups_what_stays_and_the_number_of_permutations(tmp_path, monkeypatch):
    (tmp_path / "inspected.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    text = "\n".join(inspection(ModelConfig("inspected:build", 8, None, "none", (1, 4, 4), 3)))
    assert "1  inner        8 units  free: 1.weight[0], 1.bias[0], 3.weight[1]\n" in text
    assert "left alone: 5 along axis 0 of 3.weight, axis 0 of 3.bias" in text
    assert "operation sort in module 4 (Sorted) at inspected.py" in text
    assert "of 13 hidden units 8 (62%) can be reordered freely" in text
    assert "there are 10^4.6 permutations\n" in text
    assert math.isclose(math.log10(math.factorial(8)), 4.6, abs_tol=0.01)


HEADS = """
from torch import nn
from torch.nn import functional

class Heads(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embed, self.last = nn.Linear(4, width), nn.Linear(width, 3)

    def forward(self, x):
        units = self.embed(x.squeeze(1)).unflatten(2, (2, -1)).transpose(1, 2)
        units = functional.scaled_dot_product_attention(units, units, units)
        return self.last(units.transpose(1, 2).flatten(2).mean(1))

def build(width):
    return Heads(width)
"""


def test_blocks_of_one_group_name_no_others(tmp_path, monkeypatch):
    (tmp_path / "inspected_heads.py").write_text(HEADS)
    monkeypatch.syspath_prepend(tmp_path)
    text = "\n".join(inspection(ModelConfig("inspected_heads:build", 8, None, "none", (1, 4, 4), 3)))
    assert "8 units  in 2 blocks: embed.weight[0], embed.bias[0], last.weight[1]\n" in text


def test_blocks_are_counted_once_for_their_order_and_once_for_each_inside():
    model, example, *_ = CASES["attention"]
    spec = PermutationSpec.trace(model, example)
    expected = math.factorial(12) * math.factorial(3) * math.factorial(4) ** 6
    assert permutations_log10(spec) == pytest.approx(math.log10(expected))


def test_rotations_are_listed_with_their_dimensions_and_what_they_move():
    lines = list(inspection(ModelConfig("vit", 16, 1, "layer", (1, 8, 8), 3)))
    (stream, heads, _) = [line for line in lines if line.startswith("rotations of ")]
    # Rotations of 16 units that keep their mean are those of 15; two heads have 8 units each.
    assert stream.startswith(
        "rotations of patches: of 16 units, which keep the mean of the units, dimension 105: positions[1], "
    )
    assert stream.endswith(
        "; gains that are folded first: "
        "blocks.0.norm1.norm.weight, blocks.0.norm2.norm.weight, norm.norm.weight"
    )
    assert heads == (
        "rotations of blocks.0.attention.query: inside each of 2 blocks, dimension 56: "
        "blocks.0.attention.query.weight[0], blocks.0.attention.query.bias[0], "
        "blocks.0.attention.key.weight[0]"
    )
    assert lines[-1].startswith("rotations found and proved in ")
    plain = inspection(ModelConfig("mlp", 4, 2, "none", (1, 4, 4), 3))
    assert not any(line.startswith("rotations of") for line in plain)


def test_the_command_takes_models_and_sweeps():
    shown = CliRunner().invoke(app, ["inspect", "mlp", "--width", "4", "--shape", "1,4,4", "--depth", "2"])
    assert shown.output.startswith("mlp, width 4, depth 2, norm none, shape (1, 4, 4)\n  layers.1  ")
    assert "proved in" in shown.output
    swept = CliRunner().invoke(app, ["inspect", "sweeps/quickstart.yaml"])
    assert [line.partition(",")[0] for line in swept.output.splitlines()].count("mlp") == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mlpp"], "mlpp: neither a sweep file .* did you mean 'mlp'"),
        (["mlp", "--norm", "group"], "valid choices: none, layer, batch"),
        (["mlp", "--shape", "1,x"], "--shape 1,x: expected sizes"),
        (["mlp", "--shape", "3,²"], "--shape 3,²: expected sizes"),
        (["lenet", "--shape", "8"], r"--shape 8: lenet needs images \(channels, height, width\)"),
        (["vgg16", "--depth", "5"], "--depth: vgg16 has no such setting; read by: mlp, vit, gpt"),
        (["gpt"], "gpt needs sequences of tokens"),
    ],
)
def test_bad_input_is_named_before_anything_is_said(words, message):
    result = CliRunner().invoke(app, ["inspect", *words])
    assert not result.stdout
    with pytest.raises(UserError, match=message):
        raise result.exception


@pytest.mark.parametrize("option", ["--width", "--depth", "--classes"])
def test_sizes_are_positive(option):
    result = CliRunner().invoke(app, ["inspect", "mlp", option, "0"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert option in result.stderr
