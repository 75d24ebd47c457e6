import pytest
import torch
from torch import nn

from raysweep.models.versions import like, load_state
from raysweep.symmetry import PermutationSpec


class Versioned(nn.Linear):
    """A layer that refuses a state without its version, as torchvision's MNASNet does."""

    _version = 2

    def _load_from_state_dict(self, state, prefix, metadata, *args):
        if metadata.get("version") != 2:
            raise ValueError("no version")
        super()._load_from_state_dict(state, prefix, metadata, *args)


def network():
    return nn.Sequential(Versioned(4, 6), nn.ReLU(), nn.Linear(6, 3))


def test_a_permuted_state_dict_keeps_the_versions_of_modules():
    model = network()
    spec = PermutationSpec.trace(model, torch.zeros(2, 4))
    state = model.state_dict()
    moved = spec.apply(spec.random(torch.Generator().manual_seed(0)), state)
    network().load_state_dict(moved)
    assert moved.keys() == state.keys()
    assert not torch.equal(moved["0.weight"], state["0.weight"])


def test_a_state_without_versions_is_loaded_as_one_of_this_version():
    model, other = network(), network()
    plain = dict(model.state_dict())
    with pytest.raises(ValueError, match="no version"):
        other.load_state_dict(plain)
    load_state(other, plain)
    assert all(torch.equal(tensor, plain[name]) for name, tensor in other.state_dict().items())
    assert not hasattr(like(plain), "_metadata")
