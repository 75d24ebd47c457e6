"""Rotations of hidden units: found and proved, and what leaves the function of a network as it is."""

import copy
from functools import cache

import pytest
import torch
from torch import nn

from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.symmetry import Permutation, PermutationSpec
from tests.symmetry.rotations import random_rotation, random_weights
from tests.symmetry.test_transformers import CASES, VECTORS
from tests.symmetry.transformers import GroupedQueries

HEADS = (3, False, 0)  # blocks, whether the mean is kept, and gains that are folded


@cache
def rotated(name):
    model, example, *_ = CASES[name]
    return PermutationSpec.trace(model, example, proved=False).with_rotations(model, example)


def of_heads(attention, layers=2):
    return {f"{attention.format(n)}[{at}]": HEADS for n in range(layers) for at in ("0:12", "24:36")}


EXPECTED = {
    # LayerNorm subtracts the mean of the stream, which rotations have to keep.
    "vision transformer": {"patches": (1, True, 5), **of_heads("blocks.{}.attn.qkv")},
    # The gain of the last norm cannot be folded into a head that is tied to the embedding.
    "gpt": of_heads("attentions.{}.c_attn"),
    # Rotary positions fix the units of queries and keys. Two heads of queries share one of values.
    "llama": {"embedding.weight@1": (1, False, 3), "v": (2, False, 0)},
    # The sum of the residual stream is normalised itself.
    "encoder layer": of_heads("1.self_attn.in_proj_weight", 1),
    "encoder layer, norm first": {"0": (1, True, 2), **of_heads("1.self_attn.in_proj_weight", 1)},
    "attention": {"first": (1, False, 0), **of_heads("attention.in_proj_weight", 1)},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_rotations_of_heads_and_of_residual_streams_are_found(name):
    found = rotated(name).rotations
    assert {g: (r.blocks, r.keeps_mean, len(r.foldings)) for g, r in found.items()} == EXPECTED[name]


def test_heads_of_queries_share_rotated_keys_and_values():
    model = GroupedQueries("enable_gqa", groups=2).double()
    vectors, generator = VECTORS.double(), torch.Generator().manual_seed(0)
    spec = PermutationSpec.trace(model, vectors).with_rotations(model, vectors)
    assert spec.rotations.keys() == {"first", "qkv[12:18]", "qkv[18:24]"}
    moved = spec.apply(random_rotation(spec, generator), model.state_dict())
    torch.testing.assert_close(torch.func.functional_call(model, moved, (vectors,)), model(vectors))


def test_nothing_rotates_around_a_nonlinearity_or_running_statistics():
    for between in (nn.ReLU(), nn.GELU(), nn.BatchNorm1d(6)):
        model, images = nn.Sequential(nn.Linear(4, 6), between, nn.Linear(6, 3)), torch.randn(3, 4)
        assert not PermutationSpec.trace(model, images).with_rotations(model, images).rotations


@pytest.mark.parametrize(
    ("name", "width", "depth", "norm", "shape"),
    [
        ("mlp", 4, 2, "none", (64,)),
        ("mlp", 3, 3, "none", (64,)),
        ("mlp", 2, 6, "layer", (8,)),
        ("mlp", 5, 5, "layer", (64,)),
        ("resnet20", 4, None, "none", (3, 1, 1)),
    ],
)
def test_a_few_units_that_may_all_be_active_do_not_rotate_around_a_relu(name, width, depth, norm, shape):
    model, example = build(ModelConfig(name, width, depth, norm, shape, 10)), torch.zeros(2, *shape)
    spec = PermutationSpec.trace(model, example, proved=False)
    assert not spec.with_rotations(model, example).rotations


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("seed", [0, 1])
@torch.no_grad()
def test_rotations_leave_the_function_and_form_a_group(name, seed):
    spec, generator = rotated(name), torch.Generator().manual_seed(seed)
    model = copy.deepcopy(CASES[name][0]).double().eval()
    example = CASES[name][1]
    example = example.double() if example.is_floating_point() else example
    state = random_weights(model, generator)
    one, other = random_rotation(spec, generator), random_rotation(spec, generator)

    def outputs(weights):
        return torch.func.functional_call(model, dict(weights), (example,), tie_weights=False)

    moved, expected = spec.apply(one, state), outputs(state)
    torch.testing.assert_close(outputs(spec.folded(state)), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(outputs(moved), expected, rtol=1e-10, atol=1e-10)
    in_turn, at_once = spec.apply(other, moved), spec.apply(other.compose(one), state)
    back, folded = spec.apply(one.inverse(), moved), spec.folded(state)
    for parameter in state:
        torch.testing.assert_close(in_turn[parameter], at_once[parameter])
        torch.testing.assert_close(back[parameter], folded[parameter])
    assert one.agreement(one) == dict.fromkeys(spec.sizes, 1.0)
    assert all(one.agreement(other)[group] == 0 for group in spec.rotations)


def test_the_rotation_with_the_largest_inner_product_is_found():
    generator = torch.Generator().manual_seed(0)
    for group in ("patches", "blocks.0.attn.qkv[0:12]"):
        rotation = rotated("vision transformer").rotations[group]
        size = 12 // rotation.blocks
        products = torch.randn(rotation.blocks, size, size, generator=generator, dtype=torch.float64)
        best = (rotation.nearest(products) * products).sum()
        rotation.check(group, rotation.nearest(products))
        assert all((rotation.random(12, generator) * products).sum() < best for _ in range(50))


def test_rotations_that_change_the_function_are_refused():
    spec, state = rotated("vision transformer"), CASES["vision transformer"][0].state_dict()
    still, eye = Permutation.identity(spec.sizes).indices, torch.eye(12, dtype=torch.float64)
    with pytest.raises(ValueError, match="group patches: a rotation is not orthogonal"):
        Permutation(still, rotations={"patches": 2 * eye[None]})
    with pytest.raises(ValueError, match="group patches: its rotations do not fit its units"):
        Permutation(still, rotations={"patches": eye[None, :6, :6]})
    with pytest.raises(ValueError, match="group patches: its units have factors or rotations, not both"):
        Permutation(still, {"patches": torch.ones(12)}, {"patches": eye[None]})
    with pytest.raises(ValueError, match="group patches: a LayerNorm reads it"):
        spec.apply(Permutation(still, rotations={"patches": -eye[None]}), state)
    with pytest.raises(ValueError, match=r"group blocks.0.attn.qkv\[0:12\]: its units lie in 3 blocks"):
        spec.apply(Permutation(still, rotations={"blocks.0.attn.qkv[0:12]": eye[None]}), state)
    hidden = Permutation(still, rotations={"blocks.0.fc1": torch.eye(24, dtype=torch.float64)[None]})
    with pytest.raises(ValueError, match=r"group blocks.0.fc1: no rotations of its units are known"):
        spec.apply(hidden, state)
    state["norm.weight"] = torch.zeros(12)
    with pytest.raises(ValueError, match=r"norm.weight: a gain of 0 cannot be folded, because norm.bias"):
        spec.folded(state)


class TiedReaders(nn.Module):
    """A residual stream, read by two layers of one weight behind a norm."""

    def __init__(self):
        super().__init__()
        self.stream, self.norm, self.last = nn.Linear(8, 6), nn.RMSNorm(6), nn.RMSNorm(6)
        self.one, self.other = (nn.Linear(6, 6, bias=False) for _ in range(2))
        self.other.weight = self.one.weight
        self.back, self.head = nn.Linear(6, 6), nn.Linear(6, 3, bias=False)

    def forward(self, inputs):
        stream = self.stream(inputs)
        read = self.norm(stream)
        stream = stream + self.back(torch.relu(self.one(read)) + torch.sigmoid(self.other(read)))
        return self.head(self.last(stream))


def test_a_gain_is_folded_into_a_tied_weight_under_both_names():
    model, inputs = TiedReaders().eval(), torch.randn(4, 8)
    model.load_state_dict(random_weights(model, torch.Generator().manual_seed(0)))
    spec = PermutationSpec.trace(model, inputs).with_rotations(model, inputs)
    state = spec.folded(model.state_dict(), {"stream"})
    assert torch.equal(state["one.weight"], state["other.weight"])
    assert not torch.equal(state["one.weight"], model.one.weight)
    before = model(inputs)
    model.load_state_dict(state)
    torch.testing.assert_close(model(inputs), before)


def test_gains_of_zero_are_folded_where_no_bias_is_divided_by_them():
    spec, state = rotated("llama"), CASES["llama"][0].state_dict()
    state["norms.2.weight"] = torch.tensor([0.0] * 8 + [2.0] * 8)
    folded = spec.folded(state)
    assert torch.equal(folded["norms.2.weight"], torch.ones(16))
    assert torch.equal(folded["head.weight"], state["head.weight"] * state["norms.2.weight"])
    assert spec.folded(folded)["head.weight"] is folded["head.weight"]
