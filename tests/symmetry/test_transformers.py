"""Attention, gates and residual streams: the groups that are expected, their proof, and exact recovery."""

from dataclasses import replace

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from raysweep.alignment import weight_matching
from raysweep.alignment.relaxed import apply_relaxed, matrices_of
from raysweep.symmetry import PermutationSpec
from raysweep.symmetry.axes import Blocks, Segment, Shared
from tests.symmetry.transformers import (
    TOKENS,
    WORDS,
    Attention,
    Gpt,
    GroupedQueries,
    Llama,
    Recurrent,
    VisionTransformer,
)

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
SENTENCES = torch.randint(WORDS, (3, TOKENS), generator=torch.Generator().manual_seed(0))
VECTORS = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))


def heads(number, qk, v):
    """The units of queries and keys, and those of values, lie in heads."""
    return Blocks(number, (qk, v))


def encoder(**options):
    """Layers as torch has them, between two linear ones."""
    layer = nn.TransformerEncoderLayer(12, 3, 20, batch_first=True, **options)
    return nn.Sequential(nn.Linear(4, 12), layer, nn.Linear(12, 3))


def torch_attention(**options):
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 12), nn.Linear(12, 3)
            self.attention = nn.MultiheadAttention(12, 3, batch_first=True, **options)

        def forward(self, x):
            x = self.first(x)
            return self.last(x + self.attention(x, x, x)[0])

    return Attending()


def vit_b(depth):
    """Torchvision's, with the widths of ViT-B divided by 16."""
    return torchvision.models.VisionTransformer(8, 4, depth, 3, 48, 192, num_classes=5)


QKV = "self_attn.in_proj_weight"
CASES = {
    "vision transformer": (
        VisionTransformer(),
        IMAGES,
        {
            "patches": 12,
            **{f"blocks.{n}.attn.qkv[{at}]": 12 for n in range(2) for at in ("0:12", "24:36")},
            **{f"blocks.{n}.fc1": 24 for n in range(2)},
        },
        [heads(3, *(f"blocks.{n}.attn.qkv[{at}]" for at in ("0:12", "24:36"))) for n in range(2)],
    ),
    "gpt": (
        Gpt(),
        SENTENCES,
        {
            "wte.weight@1": 12,
            **{f"attentions.{n}.c_attn[{at}]": 12 for n in range(2) for at in ("0:12", "24:36")},
            **{f"up.{n}": 24 for n in range(2)},
        },
        [heads(3, *(f"attentions.{n}.c_attn[{at}]" for at in ("0:12", "24:36"))) for n in range(2)],
    ),
    # Rotary positions keep the units of queries and keys in their order, and whole heads move: those of the
    # queries inside the group that reads one head of keys and values. The units of values move inside heads.
    "llama": (
        Llama(),
        SENTENCES,
        {"embedding.weight@1": 16, "v": 8, "q.blocks": 4, "k.blocks": 2, "gate": 24},
        [Blocks(2, ("v", "q.blocks", "k.blocks"))],
    ),
    "llama, as many heads of keys": (
        Llama(groups=4),
        SENTENCES,
        {"embedding.weight@1": 16, "v": 16, "q.blocks": 4, "gate": 24},
        [Blocks(4, ("v", "q.blocks"))],
    ),
    "encoder layer": (
        encoder(),
        VECTORS,
        {"0": 12, f"1.{QKV}[0:12]": 12, f"1.{QKV}[24:36]": 12, "1.linear1": 20},
        [heads(3, f"1.{QKV}[0:12]", f"1.{QKV}[24:36]")],
    ),
    "encoder layer, norm first": (
        encoder(norm_first=True, activation="gelu"),
        VECTORS,
        {"0": 12, f"1.{QKV}[0:12]": 12, f"1.{QKV}[24:36]": 12, "1.linear1": 20},
        [heads(3, f"1.{QKV}[0:12]", f"1.{QKV}[24:36]")],
    ),
    "attention": (
        torch_attention(),
        VECTORS,
        {"first": 12, "attention.in_proj_weight[0:12]": 12, "attention.in_proj_weight[24:36]": 12},
        [heads(3, "attention.in_proj_weight[0:12]", "attention.in_proj_weight[24:36]")],
    ),
    "torchvision": (
        vit_b(2),
        IMAGES,
        {
            "conv_proj": 48,
            **{f"encoder.layers.encoder_layer_{n}.mlp.0": 192 for n in range(2)},
            **{
                f"encoder.layers.encoder_layer_{n}.self_attention.in_proj_weight[{at}]": 48
                for n in range(2)
                for at in ("0:48", "96:144")
            },
        },
        [
            heads(
                3,
                *(
                    f"encoder.layers.encoder_layer_{n}.self_attention.in_proj_weight[{at}]"
                    for at in ("0:48", "96:144")
                ),
            )
            for n in range(2)
        ],
    ),
}


@pytest.mark.parametrize("causal", [False, True])
def test_units_that_attention_reads_as_tokens_move_unless_it_is_causal(causal):
    class Latents(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.first, self.last = (
                nn.Parameter(torch.rand(5, 6)),
                nn.Linear(4, 6),
                nn.Linear(6, 3),
            )

        def forward(self, x):
            q = self.tokens + self.first(x)[:, None]
            return self.last(functional.scaled_dot_product_attention(q, q, q, is_causal=causal).mean(1))

    spec = PermutationSpec.trace(Latents(), torch.zeros(2, 4))
    assert spec.sizes == ({"first": 6} if causal else {"tokens": 5, "first": 6})


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("batch_first", [False, True])
def test_units_that_a_recurrent_layer_reads_in_turn_stay(kind, batch_first):
    class Turns(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv1d(3, 4, 1), nn.Linear(5, 2)
            self.layer = kind(6, 5, batch_first=batch_first)

        def forward(self, x):
            hidden = self.first(x)
            hidden = self.layer(hidden if batch_first else hidden.transpose(0, 1))[0]
            return self.last(hidden.mean(1 if batch_first else 0))

    spec = PermutationSpec.trace(Turns(), torch.zeros(2, 3, 6))
    assert list(spec.sizes.values()) == [5]
    assert spec.left_alone[0].units == 4


GATES = {nn.LSTM: "[0:6]", nn.GRU: "[0:6]", nn.RNN: ""}


@pytest.mark.parametrize("name", CASES)
def test_heads_their_units_and_the_residual_stream_are_found(name):
    model, example, sizes, blocks = CASES[name]
    spec = PermutationSpec.trace(model, example)
    assert spec.sizes == sizes
    assert sorted(map(str, spec.blocks)) == sorted(map(str, blocks))
    assert spec.left_alone == ()
    check_recovery(spec, model)


def test_the_one_head_of_keys_that_all_queries_read_keeps_its_order_under_rotary_positions():
    """All heads of queries move freely, and so do the units of the one head of values."""
    model = Llama(groups=1)
    spec = PermutationSpec.trace(model, SENTENCES)
    assert spec.sizes == {"embedding.weight@1": 16, "v": 4, "q.blocks": 4, "gate": 24}
    assert spec.blocks == ()
    assert [(each.units, each.axes) for each in spec.left_alone] == [(4, (("k.weight", 0),))]
    check_recovery(spec, model)


# By the number of heads of keys and values, for four heads of queries of three units: the rows of queries
# follow those of keys in every head, and the heads move inside their group. `heads` names their own group.
SHARED = {
    1: (["qkv[12:15]", "qkv[15:18]"], {"qkv[12:15]": 3, "qkv[15:18]": 3}, "qkv[0:12].heads"),
    2: (["qkv[12:18]", "qkv[18:24]"], {"qkv[12:18]": 6, "qkv[18:24]": 6}, "qkv[12:18].heads"),
    4: (["qkv[0:12]", "qkv[24:36]"], {"qkv[0:12]": 12, "qkv[24:36]": 12}, None),
}


@pytest.mark.parametrize("how", ["expand", "repeat_interleave", "enable_gqa"])
@pytest.mark.parametrize("groups", SHARED)
def test_heads_of_queries_share_the_units_of_keys_and_values(groups, how):
    (keys, values), sizes, own = SHARED[groups]
    model = GroupedQueries(how, groups=groups)
    spec = PermutationSpec.trace(model, VECTORS)
    assert spec.sizes == {"first": 12, **sizes, **({own: 4} if own else {})}
    together = {keys, values, own} - {None}
    assert [(each.count, set(each.groups)) for each in spec.blocks] == [(groups, together)] * (groups > 1)
    assert spec.left_alone == ()
    if own:
        shared = Shared(values, 12, heads=own, count=4, blocks=groups)
        assert spec.axes["o.weight"] == ((Segment("first", 12),), (shared,))
        assert spec.axes["qkv.bias"][0][0] == replace(shared, group=keys)
    check_recovery(spec, model)


@pytest.mark.parametrize("groups", [1, 2])
def test_relaxed_permutations_of_heads_that_share_units_are_those_of_the_spec(groups):
    model = GroupedQueries("enable_gqa", groups=groups)
    spec = PermutationSpec.trace(model, VECTORS, proved=False)
    permutation, state = spec.random(torch.Generator().manual_seed(2)), model.state_dict()
    relaxed = apply_relaxed(spec, matrices_of(permutation, state["o.weight"]), state)
    for name, tensor in spec.apply(permutation, state).items():
        assert torch.equal(relaxed[name], tensor)


def test_shared_units_that_are_joined_with_what_stays_keep_their_order_in_heads_that_move():
    """The output of attention is multiplied by a constant that differs inside heads."""
    model = GroupedQueries("enable_gqa")
    attention, scale = model.enable_gqa, torch.arange(1.0, 4.0)
    model.enable_gqa = lambda q, k, v: attention(q, k, v) * scale
    spec = PermutationSpec.trace(model, VECTORS)
    assert {"qkv[12:18]": 6, "qkv[12:18].heads": 4}.items() <= spec.sizes.items()
    assert "qkv[18:24]" not in spec.sizes
    check_recovery(spec, model)


def test_norms_of_queries_and_keys_have_units_that_move_alike_in_all_heads():
    """The norms have one weight for each unit of a head; those of values move inside each head."""

    class Normed(Attention):
        def __init__(self, width, heads):
            super().__init__(width, heads)
            self.qn, self.kn = nn.LayerNorm(width // heads), nn.RMSNorm(width // heads)

        def forward(self, x):
            q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
            return self.proj(
                functional.scaled_dot_product_attention(self.qn(q), self.kn(k), v).transpose(1, 2).flatten(2)
            )

    model = nn.Sequential(nn.Linear(4, 12), Normed(12, 3), nn.Linear(12, 3))
    spec = PermutationSpec.trace(model, VECTORS)
    assert sorted(spec.sizes.values()) == [3, 4, 12, 12, 12]
    assert [(each.count, sorted(spec.sizes[g] for g in each.groups)) for each in spec.blocks] == [
        (3, [3, 12])
    ]
    assert spec.sizes["1.qn"] == 4
    check_recovery(spec, model)


def test_units_of_attention_between_channels():
    """Cross-covariance attention (XCiT): the units of queries move inside each head, those of keys with those
    of values, alike in all heads."""

    class CrossCovariance(Attention):
        def forward(self, x):
            q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 4, 1).unbind(0)
            q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
            scores = q @ k.transpose(2, 3) * self.temperature
            return self.proj((scores.softmax(-1) @ v).permute(0, 3, 1, 2).flatten(2))

    attention = CrossCovariance(12, 3)
    attention.temperature = nn.Parameter(torch.ones(3, 1, 1))
    model = nn.Sequential(nn.Linear(4, 12), attention, nn.Linear(12, 3))
    spec = PermutationSpec.trace(model, VECTORS)
    assert sorted(spec.sizes.values()) == [3, 4, 12, 12]
    check_recovery(spec, model)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize(
    "options", [{"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "by_state": True}]
)
def test_units_of_recurrent_layers_move_alike_in_all_gates(kind, options):
    model = Recurrent(kind, **options)
    spec = PermutationSpec.trace(model, VECTORS)
    second = "rnn.weight_ih_l0_reverse" if "bidirectional" in options else "rnn.weight_ih_l1"
    assert spec.sizes == {"first": 7, f"rnn.weight_ih_l0{GATES[kind]}": 6, second + GATES[kind]: 6}
    check_recovery(spec, model)


def check_recovery(spec, model):
    """A permuted copy of random weights is brought back exactly."""
    generator = torch.Generator().manual_seed(1)
    state = {
        name: torch.randn(tensor.shape, generator=generator) if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    moved = spec.apply(spec.random(generator), state)
    back = spec.apply(weight_matching(spec, state, moved, seed=0).permutation, moved)
    names = [name for name, _ in model.named_parameters()]
    assert all(torch.equal(back[name], state[name]) for name in names)
    assert not all(torch.equal(moved[name], state[name]) for name in names)
