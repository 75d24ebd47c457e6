"""What the tracer does not understand is named, never guessed."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune

from raysweep.errors import SpecError
from raysweep.symmetry import PermutationSpec, read_in_training_only
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


def opaque(x):
    return x.sort(1).values


torch.fx.wrap("opaque")


def relu(x):
    return opaque(x)


torch.fx.wrap("relu")


def hooked(module):
    module.register_forward_hook(lambda module, args, output: output.flip(1))
    return module


REFUSED = {
    r"operation softmax \(softmax\) is not understood": lambda net, x: functional.softmax(x, 1),
    r"operation softmax \(softmax\) is": lambda net, x: x.softmax(-1),
    r"operation einsum \(einsum\)": lambda net, x: torch.einsum("nc,nd->nd", x, x),
    r"operation cumsum \(cumsum\)": lambda net, x: x.cumsum(1),
    r"operation roll \(roll\)": lambda net, x: torch.roll(x, 1, 1),
    r"operation flip \(flip\)": lambda net, x: x.flip(1),
    r"operation topk \(topk\)": lambda net, x: torch.cat([x.topk(5)[0], x[:, :1]], 1),
    r"operation item \(item\)": lambda net, x: x * x.sum().item(),
    r"operation setitem": lambda net, x: (x.__setitem__((0, 1), 0.0), x)[1],
    r"operation getitem \(getitem\) indexes by something": lambda net, x: x[:, [5, 4, 3, 2, 1, 0]],
    r"operation dropout \(dropout\) is random": lambda net, x: functional.dropout(x, 0.5),
    r"operation opaque \(opaque\)": lambda net, x: opaque(x),
    r"operation scaled_dot_product_attention": lambda net, x: functional.scaled_dot_product_attention(
        x[None], x[None], x[None]
    )[0],
    r"cannot trace Between": lambda net, x: x if x.sum() > 0 else -x,
}


@pytest.mark.parametrize("message", REFUSED)
def test_operations(message):
    with pytest.raises(SpecError, match=message):
        traced(Between(REFUSED[message]), (4,))


def test_a_function_of_the_user_is_not_taken_for_torchs():
    with pytest.raises(SpecError, match=r"operation relu \(relu\) is not understood"):
        traced(Between(lambda net, x: relu(x)), (4,))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Softmax(dim=1), r"module module \(Softmax\) is not understood"),
        (nn.GLU(), r"module module \(GLU\)"),
        (nn.LSTM(6, 6), r"module module \(LSTM\)"),
        (nn.TransformerEncoderLayer(6, 2), r"module module \(TransformerEncoderLayer\)"),
        (parametrizations.weight_norm(nn.Linear(6, 6)), r"module module \(ParametrizedLinear\)"),
        (hooked(nn.Linear(6, 6)), r"module module \(Linear\) has hooks"),
        (prune.random_unstructured(nn.Linear(6, 6), "weight", 0.5), r"cannot trace Between"),
    ],
    ids=str,
)
def test_modules(module, message):
    with pytest.raises(SpecError, match=message):
        traced(Between(lambda net, x: net.module(x), module=module), (4,))


def test_attention_and_embedding():
    with pytest.raises(SpecError, match=r"\(MultiheadAttention\)"):
        traced(Between(lambda net, x: net.a(x, x, x)[0], a=nn.MultiheadAttention(6, 2)), (4,))
    with pytest.raises(SpecError, match=r"module 0 \(Embedding\)"):
        PermutationSpec.trace(nn.Sequential(nn.Embedding(9, 6)), torch.zeros(2, 4, dtype=torch.long))


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
