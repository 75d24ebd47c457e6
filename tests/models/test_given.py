import pytest
import torch
from torch import nn

from raysweep.models.given import modules_of, state_of, states_of


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_modules_and_state_dicts_are_alike():
    one, other = network(), network()
    states = states_of([one, other.state_dict()], "networks")
    assert all(torch.equal(states[1][name], tensor) for name, tensor in other.state_dict().items())
    first, second = modules_of([one, other.state_dict()], None, "networks")
    assert first is one
    assert all(torch.equal(second.state_dict()[name], states[1][name]) for name in states[1])
    (third,) = modules_of([other.state_dict()], one, "networks")
    assert torch.equal(third[0].weight, other[0].weight)
    assert third is not one


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            torch.zeros(3),
            "a: expected a module or a state dict (tensors by name), not a value of type Tensor",
        ),
        ({"epoch": 3}, "not a dict whose 'epoch' is of type int"),
        ("model.pt", "not a value of type str"),
    ],
)
def test_wrong_types_are_told_what_is_expected(given, said):
    with pytest.raises(TypeError) as caught:
        state_of(given, "a")
    assert said in str(caught.value)


def test_lists_of_networks_are_lists():
    with pytest.raises(
        TypeError, match="networks: expected a list of modules or state dicts, not one of them"
    ):
        states_of(network().state_dict(), "networks")
    with pytest.raises(TypeError, match=r"networks\[1\]: expected a module"):
        states_of([network(), 3], "networks")
    with pytest.raises(TypeError, match="the architecture is not known; give model"):
        modules_of([network().state_dict()], None, "networks")


class Extra(nn.Linear):
    """A layer with state that is no tensor."""

    def get_extra_state(self):
        return {"version": 1}

    def set_extra_state(self, state):
        pass


def test_extra_state_of_a_module_is_refused_by_its_name():
    said = r"not a module whose state dict is a dict whose '1\._extra_state' is of type dict"
    with pytest.raises(TypeError, match=said):
        state_of(nn.Sequential(nn.Linear(3, 4), Extra(4, 2)), "a")
