"""What is not understood is named, never guessed, and the rest of a network is found all the same."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from raysweep.errors import SpecError
from raysweep.symmetry import PermutationSpec, read_in_training_only
from raysweep.symmetry.operations import OPERATIONS
from tests.networks import Head
from tests.symmetry.checks import assert_unchanged, traced


class Between(nn.Module):
    """A function of six hidden units, and of other modules by name, between two linear layers."""

    def __init__(self, function, **modules):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, input):
        return self.last(self.function(self, self.first(input)))


def hooked(module):
    module.register_forward_hook(lambda module, args, output: output.flip(1))
    return module


STAYS = {
    r"operation cumsum at test_refusals.py:\d+ needs their order": lambda net, x: x.cumsum(1),
    r"operation roll at .* needs": lambda net, x: torch.roll(x, 1, 1),
    r"operation flip at .* needs": lambda net, x: x.flip(1),
    r"operation sort at .* needs": lambda net, x: x.sort(1).values,
    r"operation topk at .* needs": lambda net, x: torch.cat([x.topk(5)[0], x[:, :1]], 1),
    r"operation gather at .* is not understood": lambda net, x: x.gather(1, torch.arange(12).view(2, 6) % 6),
    r"operation tolist at .* is not understood": lambda net, x: x * x[0].tolist()[0],
    r"operation getitem at .* needs their order": lambda net, x: x[:, [5, 4, 3, 2, 1, 0]],
    r"operation getitem at .* indexes by a condition": lambda net, x: x[:, torch.ones(6) > 0],
    r"operation dropout at .* is random": lambda net, x: functional.dropout(x, 0.5),
    r"operation einsum at .* takes a diagonal": lambda net, x: torch.einsum("nc,cc->nc", x, net.square),
    r"operation flip in module hooked \(Linear\) at .* needs": lambda net, x: net.hooked(x),
}


@pytest.mark.parametrize("message", STAYS)
def test_units_that_reach_what_is_not_understood_stay_and_all_others_move(message):
    """The operation is named with its place, and the layer behind it is found."""
    network = Between(STAYS[message], second=nn.Linear(6, 5), last=nn.Linear(5, 3))
    network.square, network.hooked = nn.Parameter(torch.rand(6, 6)), hooked(nn.Linear(6, 6))
    between = network.function
    network.function = lambda net, x: torch.relu(net.second(between(net, x)))
    for unused in {"square", "hooked"} - set(between.__code__.co_names):
        delattr(network, unused)
    spec = traced(network, (4,))
    assert spec.sizes["second"] == 5
    assert len(spec.sizes) == 1 + ("Linear" in message)  # the first layer is free behind another one
    assert any(re.match(message, each.reason) for each in spec.left_alone), spec.left_alone


@pytest.mark.parametrize("axes", [lambda given: given[1], lambda given: given + given])
def test_units_stay_where_an_operation_misreads_its_arguments(axes, monkeypatch):
    """It raises an error, or finds more axes than there are."""
    monkeypatch.setitem(OPERATIONS, "roll", lambda groups, result, input, *_: axes(input.axes[:1]))
    (left,) = traced(Between(lambda net, x: x.roll(1, 1)), (4,)).left_alone
    assert re.match(r"operation roll at test_refusals.py:\d+ is (used with|called in a way)", left.reason)


def test_a_function_of_the_user_is_followed():
    """Whatever Python does, the functions of torch are seen, under whatever name they are called."""

    def softmax(x):
        return torch.relu(x)

    assert traced(Between(lambda net, x: softmax(x)), (4,)).sizes == {"first": 6}


def test_networks_that_cannot_run_are_named():
    network = Between(lambda net, x: net.missing(x))
    with pytest.raises(SpecError, match=r"cannot trace Between: .* has no attribute 'missing'"):
        traced(network, (4,))


def test_unused_parameters():
    with pytest.raises(SpecError, match=r"parameter spare\.weight is never used"):
        traced(Between(lambda net, x: x, spare=nn.Linear(2, 2)), (4,))


def test_parameters_that_training_alone_reads_stay_in_place():
    """The function that is evaluated has the same symmetries with and without the head."""
    model = Head((1, 2, 2), 3, 5)
    spec = PermutationSpec.trace(model, torch.zeros(2, 1, 2, 2))
    assert list(spec.sizes.values()) == [5, 5]
    assert not {"head.weight", "head.bias"} & set(spec.axes)
    assert read_in_training_only(model, torch.zeros(2, 1, 2, 2)) == {"head.weight", "head.bias"}
    assert_unchanged(spec, model, (1, 2, 2))
    model.spare = nn.Parameter(torch.zeros(3))
    with pytest.raises(SpecError, match="parameter spare is never used"):
        traced(model.float(), (1, 2, 2))


def test_a_head_of_two_outputs_stays_in_place_too():
    spec = PermutationSpec.trace(Head((1, 2, 2), 3, 5, pair=True), torch.zeros(2, 1, 2, 2))
    assert not {"head.weight", "head.bias"} & set(spec.axes)


def test_tracing_changes_neither_the_network_nor_the_random_state():
    """Though it is run in training mode to find out what training reads."""
    model = nn.Sequential(Head((1, 2, 2), 3, 5), nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 2))
    before, state = torch.random.get_rng_state(), {n: t.clone() for n, t in model.state_dict().items()}
    traced(model, (1, 2, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert model.training
