"""Attention, gates and residual streams: the groups that are expected, their proof, and exact recovery."""

import pytest
import torch
import torchvision
from torch import nn

from raysweep.alignment import weight_matching
from raysweep.symmetry import PermutationSpec
from raysweep.symmetry.axes import Blocks
from tests.symmetry.transformers import TOKENS, WORDS, Gpt, Llama, Recurrent, VisionTransformer

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
    # Rotary positions keep the units of queries and keys in their order, and grouped queries those of values:
    # whole
    # heads move, those of the queries inside the group that reads one head of keys and values.
    "llama": (
        Llama(),
        SENTENCES,
        {"embedding.weight@1": 16, "q.blocks": 4, "k.blocks": 2, "gate": 24},
        [Blocks(2, ("q.blocks", "k.blocks"))],
    ),
    "llama, as many heads of keys": (
        Llama(groups=4),
        SENTENCES,
        {"embedding.weight@1": 16, "q.blocks": 4, "gate": 24},
        [],
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
GATES = {nn.LSTM: "[0:6]", nn.GRU: "[0:6]", nn.RNN: ""}


@pytest.mark.parametrize("name", CASES)
def test_heads_their_units_and_the_residual_stream_are_found(name):
    model, example, sizes, blocks = CASES[name]
    spec = PermutationSpec.trace(model, example)
    assert spec.sizes == sizes
    assert sorted(map(str, spec.blocks)) == sorted(map(str, blocks))
    assert spec.left_alone == ()
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
