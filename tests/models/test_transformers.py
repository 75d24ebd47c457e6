"""The transformers that sweep files name: their heads, what a token reads, and exact recovery with heads."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from raysweep.alignment import activation_matching, weight_matching
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.models.registry import INITS
from raysweep.models.transformer import HEAD, Attention, heads_of
from raysweep.plan.layer_groups import group_blocks, layers_of_groups
from raysweep.symmetry import PermutationSpec
from raysweep.training.loop import TrainingRun
from raysweep.training.schedule import Schedule
from tests.conftest import settings

VIT = ModelConfig("vit", 16, None, "layer", (1, 8, 8), 10)


@given(st.integers(1, 300))
def test_heads_divide_the_width_and_are_as_many_as_have_eight_units(width):
    heads = heads_of(width)
    assert width % heads == 0
    assert heads == 1 or width // heads >= HEAD
    assert not [more for more in range(heads + 1, width // HEAD + 1) if width % more == 0]
    assert heads_of(8 * width) == width


@pytest.mark.parametrize("causal", [False, True])
def test_attention_agrees_with_that_of_torch(causal):
    attention, x = Attention(24, causal), torch.randn(2, 5, 24)
    query, key, value = (
        layer(x).view(2, 5, 3, 8).transpose(1, 2)
        for layer in (attention.query, attention.key, attention.value)
    )
    read = functional.scaled_dot_product_attention(query, key, value, is_causal=causal)
    expected = attention.out(read.transpose(1, 2).reshape(2, 5, 24))
    torch.testing.assert_close(attention(x), expected)


def test_a_known_permutation_of_heads_and_of_units_inside_them_is_recovered(digits):
    """By weights and by activations."""
    model, other = initialised(VIT, "pytorch", 0), build(VIT)
    images = digits.train.images[:500]
    spec = PermutationSpec.trace(model, images[:2])
    assert spec.left_alone == ()
    assert [(each.count, each.groups) for each in spec.blocks] == list(group_blocks(VIT))
    hidden = spec.random(torch.Generator().manual_seed(1))
    state = model.state_dict()
    other.load_state_dict(spec.apply(hidden, state))
    by_weights = weight_matching(spec, state, other.state_dict(), seed=0).permutation
    by_activations = activation_matching(model, other, images).permutation
    for found in (by_weights, by_activations):
        restored = spec.apply(found, other.state_dict())
        assert all(torch.equal(restored[name], state[name]) for name in state)


def test_queries_and_values_of_a_head_are_one_layer_of_a_plan():
    attention = [(f"blocks.{n}.attention.query", f"blocks.{n}.attention.value") for n in range(2)]
    assert group_blocks(VIT) == tuple((2, groups) for groups in attention)
    expected = ("patches",), attention[0], ("blocks.0.up",), attention[1], ("blocks.1.up",)
    assert layers_of_groups(VIT) == expected


@pytest.mark.parametrize("init", INITS)
def test_embeddings_are_small_and_differ_between_replicates(init):
    one, other = (initialised(VIT, init, seed).positions for seed in (0, 1))
    assert one.std().item() == pytest.approx(0.02, rel=0.2)
    assert not torch.equal(one, other)


def test_training_reduces_the_loss_of_a_vision_transformer(digits):
    model = initialised(VIT, "kaiming_normal", 0)
    schedule = Schedule("constant", 0.003, 40)
    run = TrainingRun(model, digits, settings(optimiser="adamw", schedule=schedule))
    images, labels = digits.test.images, digits.test.labels
    run.advance(40)
    with torch.no_grad():
        assert functional.cross_entropy(model(images), labels) < 1.8  # 2.3 by guessing
