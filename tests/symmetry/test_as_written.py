"""Networks as authors write them: casts to float32, finite masks, steps of recurrent layers, experts."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from raysweep.alignment.partial_matching import branch_matching
from raysweep.errors import SpecError
from raysweep.symmetry import Kind, PermutationSpec, prove
from raysweep.symmetry.axes import Blocks
from tests.symmetry.test_transformers import VECTORS, check_recovery
from tests.symmetry.transformers import TOKENS, Attention

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class InFloat32(nn.Module):
    """RMSNorm and attention as in libraries: in float32 whatever the type, masked by the smallest number."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 12), nn.Linear(12, 3)
        self.gain = nn.Parameter(torch.ones(12))
        self.q, self.k, self.v, self.o = (nn.Linear(12, 12, bias=False) for _ in range(4))

    def forward(self, x):
        x = self.first(x)
        wide = x.float()
        hidden = self.gain * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype)
        q, k, v = (each(hidden).unflatten(-1, (3, -1)).transpose(1, 2) for each in (self.q, self.k, self.v))
        scores = q @ k.transpose(2, 3)
        lowest = torch.finfo(scores.dtype).min
        scores = scores + torch.full((TOKENS, TOKENS), lowest, dtype=scores.dtype).triu(1)
        weights = functional.softmax(scores, dim=-1, dtype=torch.float32).to(x.dtype)
        return self.last(x + self.o((weights @ v).transpose(1, 2).flatten(2)))


def test_casts_to_float32_are_no_change_and_masks_hide_none():
    model = InFloat32()
    spec = PermutationSpec.trace(model, VECTORS)
    assert spec.sizes == {"first": 12, "q": 12, "v": 12}
    assert [(each.count, set(each.groups)) for each in spec.blocks] == [(3, {"q", "v"})]
    check_recovery(spec, model)
    assert spec.with_rotations(model, VECTORS).rotations.keys() == {"first", "q", "v"}
    torn = replace(spec, axes=spec.axes | {"k.weight": (None, spec.axes["k.weight"][1])})
    with pytest.raises(SpecError, match="groups q, v: reordering their units changes the network's outputs"):
        prove(torn, model, VECTORS)


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells_have_the_units_of_their_layers(kind):
    class Steps(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.cell, self.last = nn.Linear(4, 7), kind(7, 6), nn.Linear(6, 3)

        def forward(self, x):
            state = x.new_zeros(len(x), 6)
            states = (state, state) if kind is nn.LSTMCell else state
            for token in self.first(x).unbind(1):
                states = self.cell(token, states)
            return self.last(states[0] if kind is nn.LSTMCell else states)

    model = Steps()
    spec = PermutationSpec.trace(model, VECTORS)
    assert sorted(spec.sizes.values()) == [6, 7]
    assert spec.left_alone == ()
    check_recovery(spec, model)


def test_gates_that_are_written_out_begin_with_a_state_of_zeros():
    class Gru(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.outer, self.last = nn.Linear(4, 18), nn.Linear(6, 18), nn.Linear(6, 3)

        def forward(self, x):
            state = torch.zeros(len(x), 6)
            for token in x.unbind(1):
                (r, z, n), (s, t, o) = self.inner(token).chunk(3, 1), self.outer(state).chunk(3, 1)
                z, n = torch.sigmoid(z + t), torch.tanh(n + torch.sigmoid(r + s) * o)
                state = (1 - z) * n + z * state
            return self.last(state)

    model = Gru()
    spec = PermutationSpec.trace(model, VECTORS)
    assert spec.sizes == {"inner[0:6]": 6}
    check_recovery(spec, model)


class Merged(Attention):
    """Attention in windows with positions that are learned for pairs of places, then patches are merged."""

    def __init__(self):
        super().__init__(12, 3)
        self.patches, self.norm = nn.Conv2d(3, 12, 4, 4), nn.LayerNorm(12)
        self.table, self.merged = nn.Parameter(torch.zeros(9, 3)), nn.LayerNorm(48)
        places = torch.arange(2)
        steps = places[:, None] - places + 1
        self.register_buffer("index", (3 * steps[:, None, :, None] + steps[None, :, None]).reshape(4, 4))
        self.reduced, self.last = nn.Linear(48, 8, bias=False), nn.Linear(8, 3)

    def forward(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ k.transpose(2, 3) + self.table[self.index.view(-1)].view(4, 4, -1).permute(2, 0, 1)
        x = x + self.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        return self.last(self.reduced(self.merged(torch.cat([x[:, place] for place in range(4)], dim=-1))))


def test_learned_positions_of_heads_are_no_residual_stream():
    model = Merged()
    spec = PermutationSpec.trace(model, IMAGES)
    heads = "qkv[0:12].blocks"
    assert spec.sizes == {"patches": 12, "qkv[0:12]": 12, "qkv[24:36]": 12, heads: 3, "reduced": 8}
    assert spec.blocks == (Blocks(3, ("qkv[0:12]", "qkv[24:36]", heads)),)
    assert [group for group in spec.sizes if spec.kind(group) is Kind.STREAM] == ["patches"]
    check_recovery(spec, model)
    state = model.state_dict()
    moved = spec.apply(spec.random(torch.Generator().manual_seed(0)), state)
    assert branch_matching(spec, state, moved).permutation.moving() <= spec.sizes.keys() - {"patches"}


def test_a_stream_rotates_before_patches_are_merged():
    """The norm of four merged patches has four gains for each unit, which the next weight takes."""
    model = Merged().double()
    with torch.no_grad():
        for norm in (model.norm, model.merged):
            norm.weight.uniform_(0.5, 1.5)
    spec = PermutationSpec.trace(model, IMAGES).with_rotations(model, IMAGES)
    rotation = spec.rotations["patches"]
    assert (rotation.keeps_mean, {each.gain for each in rotation.foldings}) == (
        True,
        {"norm.weight", "merged.weight"},
    )
    generator, still = torch.Generator().manual_seed(0), spec.random(torch.Generator().manual_seed(0))
    turned = replace(still, rotations={"patches": rotation.random(12, generator)})
    moved = spec.apply(turned, model.state_dict())
    images = IMAGES.double()
    torch.testing.assert_close(torch.func.functional_call(model, moved, (images,)), model(images))


class Experts(nn.Module):
    """Each token is sent to the expert with the largest gate."""

    def __init__(self, count=6):
        super().__init__()
        self.gate = nn.Linear(4, count)
        self.up = nn.ModuleList(nn.Linear(4, 5) for _ in range(count))
        self.down = nn.ModuleList(nn.Linear(5, 3) for _ in range(count))

    def forward(self, x):
        worth, chosen = self.gate(x).softmax(-1).max(-1, keepdim=True)
        result = 0
        for number, (up, down) in enumerate(zip(self.up, self.down, strict=True)):
            result = result + worth * (chosen == number) * down(up(x).relu())
        return result


def test_an_expert_to_which_nothing_is_sent_has_neither_rotations_nor_signs():
    model, few = Experts(), VECTORS[:, :1]
    spec = PermutationSpec.trace(model, few)
    assert spec.sizes == {f"up.{number}": 5 for number in range(6)}
    assert not spec.with_rotations(model, few).rotations
    scalings = spec.with_scalings(model, few).scalings.values()
    assert all(each.positive and not each.sign for each in scalings)


def test_places_that_a_condition_finds_leave_the_rest_of_the_network_alone():
    """Experts that are given their tokens by number, as `torch.where` of a condition alone finds them."""

    class Sparse(Experts):
        def forward(self, x):
            flat = x.flatten(0, 1)
            worth, chosen = self.gate(flat).softmax(-1).max(-1)
            result = flat.new_zeros(len(flat), 3)
            for number, (up, down) in enumerate(zip(self.up, self.down, strict=True)):
                (rows,) = torch.where(chosen == number)
                result.index_add_(0, rows, down(up(flat[rows]).relu()) * worth[rows, None])
            return result.unflatten(0, x.shape[:2])

    model = Sparse(2)
    spec = PermutationSpec.trace(model, VECTORS)
    assert spec.sizes == {"up.0": 5, "up.1": 5}


def test_what_fails_in_float64_is_refused():
    class Failing(nn.Sequential):
        def forward(self, x):
            if x.dtype == torch.float64:
                raise RuntimeError("no float64 here")
            return super().forward(x)

    with pytest.raises(SpecError, match="random weights in float64, which fails: no float64 here"):
        PermutationSpec.trace(Failing(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), VECTORS)
