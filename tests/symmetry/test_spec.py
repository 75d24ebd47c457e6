from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations

from raysweep.errors import SpecError
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.symmetry import Permutation, PermutationSpec, prove
from raysweep.symmetry.axes import Segment
from raysweep.symmetry.randomised import randomised_network
from tests.conftest import mlp
from tests.symmetry.checks import parameters_of

EXAMPLE = torch.zeros(2, 1, 8, 8)


@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
def test_spec_is_proved_and_leaves_outputs_unchanged(norm):
    model = build(mlp(norm=norm)).double()
    spec = PermutationSpec.trace(model.float(), EXAMPLE)
    assert list(spec.sizes.values()) == [16, 16, 16]
    model = model.double()
    images = torch.randn(5, 1, 8, 8, dtype=torch.float64)
    moved = spec.apply(spec.random(torch.Generator().manual_seed(1)), model.state_dict())
    torch.testing.assert_close(torch.func.functional_call(model, moved, (images,)), model(images))


def test_wrong_spec_fails_its_proof():
    model = build(mlp())
    spec = PermutationSpec.trace(model, EXAMPLE)
    axes = dict(spec.axes)
    name = next(name for name in axes if name.endswith("3.weight"))
    axes[name] = (axes[name][0], None)
    with pytest.raises(SpecError, match="reordering its units changes"):
        prove(PermutationSpec(axes, spec.sizes, spec.buffers), model, EXAMPLE)


REDUNDANT = {  # what is taken away again of all that a bias adds
    "instance norm": [nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4)],
    "softmax over places": [nn.Conv2d(1, 4, 3), nn.Flatten(2), nn.Softmax(2), nn.Unflatten(2, (6, 6))],
}


@pytest.mark.parametrize("name", REDUNDANT)
def test_a_redundant_bias_needs_no_effect(name):
    model = nn.Sequential(*REDUNDANT[name], nn.Flatten(), nn.Linear(4 * 36, 10))
    assert PermutationSpec.trace(model, EXAMPLE).sizes == {"0": 4}


class Unread(nn.Module):
    """A layer that is multiplied by 0."""

    def __init__(self):
        super().__init__()
        self.first, self.last, self.spare = nn.Linear(64, 8), nn.Linear(8, 10), nn.Linear(64, 8)

    def forward(self, input):
        return self.last(self.first(input.flatten(1))) + (0 * self.spare(input.flatten(1))).sum()


def test_axes_without_effect_fail_the_proof():
    with pytest.raises(SpecError, match=r"group spare: axis 0 of spare\.weight has no effect: with random"):
        PermutationSpec.trace(Unread(), EXAMPLE)


def test_a_parametrisation_that_random_weights_make_constant_is_named():
    """The diagonal of an orthogonal one by reflections is rounded; other maps are proved."""

    def network(way):
        hidden = parametrizations.orthogonal(nn.Linear(64, 80), orthogonal_map=way)
        return nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), nn.Linear(80, 10))

    with pytest.raises(SpecError, match=r"a parametrisation such as that of 1 .*'householder'"):
        PermutationSpec.trace(network("householder"), EXAMPLE)
    assert list(PermutationSpec.trace(network("cayley"), EXAMPLE).sizes.values()) == [80]


def deep():
    """The outputs depend on the first layers by less than the rounding of float64."""
    layers = [layer for _ in range(25) for layer in (nn.Linear(4, 4), nn.Sigmoid())]
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), *layers, nn.Linear(4, 10))


def test_groups_whose_signal_is_lost_on_the_way_are_proved_where_they_are():
    spec = PermutationSpec.trace(deep(), EXAMPLE)
    assert list(spec.sizes.values()) == [4] * 26


@pytest.mark.parametrize("name", ["2.weight", "2.bias", "4.weight"])
def test_a_wrong_spec_whose_signal_is_lost_on_the_way_fails_its_proof(name):
    """Nothing reaches the outputs, whether all axes of the group move or not."""
    model = deep()
    spec = PermutationSpec.trace(model, EXAMPLE, proved=False)
    axes = {
        **spec.axes,
        name: tuple(None if axis == spec.axes["2.bias"][0] else axis for axis in spec.axes[name]),
    }
    with pytest.raises(SpecError, match=r"group 2: .* has no effect: with random") as caught:
        prove(PermutationSpec(axes, spec.sizes, spec.buffers), model, EXAMPLE)
    assert "a bias" not in str(caught.value)


@pytest.mark.parametrize("width", [4, 8, 16])
def test_slopes_that_a_spec_forgets_are_noticed_in_narrow_networks(width):
    """They are read where a unit is negative, which few units are on few examples."""
    model, example = (
        nn.Sequential(nn.Linear(3, width), nn.PReLU(width), nn.Linear(width, 3)),
        torch.zeros(2, 3),
    )
    spec = PermutationSpec.trace(model, example)
    with pytest.raises(SpecError, match="group 0: reordering its units changes the network's outputs"):
        prove(replace(spec, axes={**spec.axes, "1.weight": (None,)}), model, example)


@pytest.mark.parametrize("name", ["layers.1.bias", "layers.2.running_mean", "layers.2.running_var"])
def test_every_parameter_and_buffer_is_part_of_the_proof(name):
    model = build(mlp(norm="batch"))
    spec = PermutationSpec.trace(model, EXAMPLE)
    axes = {**spec.axes, name: (None,)}
    with pytest.raises(SpecError, match=r"group layers\.1: reordering its units changes"):
        prove(PermutationSpec(axes, spec.sizes, spec.buffers), model, EXAMPLE)


def test_separate_groups_that_should_be_one_fail_the_proof():
    model = build(ModelConfig("resnet20", 4, None, "layer", (1, 8, 8), 10))
    spec = PermutationSpec.trace(model, EXAMPLE)
    axes = dict(spec.axes)
    for name in ("conv.weight", "conv.bias", "norm.weight", "norm.bias"):
        axes[name] = ((Segment("stem", 4),), *axes[name][1:])
    sizes = {"stem": 4, **spec.sizes}
    with pytest.raises(SpecError, match="group stem: reordering its units changes"):
        prove(PermutationSpec(axes, sizes, spec.buffers), model, EXAMPLE)


def test_zero_outputs_fail_the_proof():
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 8), nn.Linear(8, 10), nn.Hardtanh(0, 0.0001), nn.Threshold(1, 0)
    )
    with pytest.raises(SpecError, match="vacuous"):
        PermutationSpec.trace(model, EXAMPLE)


class Disguised(nn.Module):
    """Another network when it is traced, in single precision, than when it is proved in double precision."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(64, 8), nn.Linear(8, 10)

    def forward(self, input):
        hidden = self.first(input.flatten(1))
        return self.last(hidden if hidden.dtype == torch.float32 else hidden * torch.arange(8))


def test_the_network_itself_is_part_of_the_proof():
    with pytest.raises(SpecError, match="reordering its units changes the network's outputs"):
        PermutationSpec.trace(Disguised(), EXAMPLE)


def test_a_spec_by_hand_is_proved_without_a_trace():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Softmax(dim=1), nn.Linear(8, 10))
    units = (Segment("h", 8),)
    axes = {"1.weight": (units, None), "1.bias": (units,), "3.weight": (None, units), "3.bias": (None,)}
    prove(PermutationSpec(axes, {"h": 8}, frozenset()), model, EXAMPLE)
    wrong = {**axes, "3.weight": (None, None)}
    with pytest.raises(SpecError, match="changes"):
        prove(PermutationSpec(wrong, {"h": 8}, frozenset()), model, EXAMPLE)


def test_trace_and_proof_leave_the_network_alone():
    model = build(mlp(norm="batch")).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    spec = PermutationSpec.trace(model, EXAMPLE)
    prove(spec, model, EXAMPLE)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert spec.buffers == {name for name, _ in model.named_buffers()}


def test_groups_are_named_after_the_layers_that_create_them():
    spec = PermutationSpec.trace(build(mlp()), EXAMPLE)
    assert list(spec.sizes) == ["layers.1", "layers.3", "layers.5"]
    expected = [("layers.3.weight", 0), ("layers.3.bias", 0), ("layers.5.weight", 1)]
    assert parameters_of(spec, "layers.3") == expected


def test_what_does_not_move_is_shared():
    model = build(mlp())
    spec = PermutationSpec.trace(model, EXAMPLE)
    state = model.state_dict()
    assert all(spec.apply(Permutation.identity(spec.sizes), state)[name] is state[name] for name in state)


def test_what_does_not_fit_is_never_applied():
    spec, narrow = (PermutationSpec.trace(build(mlp(width)), EXAMPLE) for width in (6, 4))
    state = build(mlp(6)).state_dict()
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(
        ValueError, match=r"group layers\.1 has 4 units in the permutation and 6 in the network"
    ):
        spec.apply(narrow.random(generator), state)
    some = Permutation({"layers.3": torch.tensor([1, 0, 2, 3, 4, 5])})
    with pytest.raises(ValueError, match=r"group layers\.1 has no units in the permutation"):
        spec.apply(some, state)
    more = Permutation({**spec.random(generator).indices, "other": torch.arange(2)})
    with pytest.raises(
        ValueError, match="group other has 2 units in the permutation and none in the network"
    ):
        spec.apply(more, state)
    with pytest.raises(ValueError, match=r"tensor layers\.1\.weight: expected 6 entries along axis 0"):
        spec.apply(spec.random(generator), build(mlp(4)).state_dict())


@pytest.fixture(scope="module")
def lenet():
    model = build(ModelConfig("lenet", 2, None, "batch", (1, 8, 8), 10))
    return model.state_dict(), PermutationSpec.trace(model, EXAMPLE)


@given(seed=st.integers(0, 2**31))
@settings(deadline=None, max_examples=20)
def test_applying_a_composition_is_applying_both(lenet, seed):
    state, spec = lenet
    generator = torch.Generator().manual_seed(seed)
    first, second = spec.random(generator), spec.random(generator)
    state = {name: torch.rand(tensor.shape, generator=generator) for name, tensor in state.items()}
    both = spec.apply(second, spec.apply(first, state))
    composed = spec.apply(second.compose(first), state)
    returned = spec.apply(second.compose(first).inverse(), both)
    assert all(torch.equal(both[name], composed[name]) for name in state)
    assert all(torch.equal(returned[name], state[name]) for name in state)


@pytest.mark.parametrize("by_view", [False, True])
def test_a_change_is_followed_through_what_is_written_to(by_view):
    """Also where a view is written to and its base is read."""

    class Writing(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.more, self.last = nn.Linear(64, 8), nn.Linear(64, 8), nn.Linear(16, 10)

        def forward(self, input):
            hidden = torch.zeros(len(input), 16, dtype=input.dtype)
            written = hidden[:, 8:] if by_view else hidden
            written += self.first(input.flatten(1)).repeat(1, 1 if by_view else 2)
            hidden[:, :8].copy_(self.more(input.flatten(1)))
            return self.last(hidden.relu_())

    network = randomised_network(Writing(), EXAMPLE, torch.Generator().manual_seed(0))
    for name in ("first.weight", "more.weight"):
        changed = {name: 2 * network.state[name]}
        with torch.no_grad():
            outputs = network.evaluate({**network.state, **changed})
        change = (outputs - network.outputs).abs().max().item()
        assert network.effect(changed).change == change > 0
