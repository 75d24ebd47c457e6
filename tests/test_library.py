"""The library in a notebook: networks are modules or state dicts, and examples tensors or loaders."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from raysweep.alignment import activation_matching, joint_activation_matching, joint_matching, weight_matching
from raysweep.connectivity import barrier_of
from raysweep.symmetry import PermutationSpec


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))


IMAGES = torch.randn(200, 6, generator=torch.Generator().manual_seed(9))
LABELS = IMAGES[:, :3].argmax(dim=1)
ONE, OTHER, THIRD = map(network, range(3))
SPEC = PermutationSpec.trace(ONE, IMAGES[:2])


def loader():
    return DataLoader(TensorDataset(IMAGES, LABELS), batch_size=64)


def same(one, other):
    return all(torch.equal(one.indices[group], index) for group, index in other.indices.items())


def test_modules_and_state_dicts_are_aligned_alike():
    by_states = weight_matching(SPEC, ONE.state_dict(), OTHER.state_dict(), seed=0)
    assert same(by_states.permutation, weight_matching(SPEC, ONE, OTHER).permutation)
    by_modules = activation_matching(ONE, OTHER, IMAGES)
    assert same(by_modules.permutation, activation_matching(ONE, OTHER.state_dict(), loader()).permutation)
    states = [each.state_dict() for each in (ONE, OTHER, THIRD)]
    for matched, of_states in (
        (joint_matching(SPEC, [ONE, OTHER, THIRD]), joint_matching(SPEC, states, seed=0)),
        (
            joint_activation_matching([ONE, OTHER, THIRD], IMAGES),
            joint_activation_matching(states, loader(), model=ONE),
        ),
    ):
        assert all(map(same, matched.permutations, of_states.permutations))


def test_a_permutation_is_applied_to_a_module_or_a_state_dict():
    permutation = SPEC.random(torch.Generator().manual_seed(0))
    of_module, of_state = SPEC.apply(permutation, ONE), SPEC.apply(permutation, ONE.state_dict())
    assert all(torch.equal(of_module[name], tensor) for name, tensor in of_state.items())
    with pytest.raises(TypeError, match="network: expected a module or a state dict"):
        SPEC.apply(permutation, list(ONE.parameters()))


def test_barriers_take_modules_and_loaders():
    expected = barrier_of(ONE, [ONE.state_dict(), OTHER.state_dict()], IMAGES, LABELS)
    assert barrier_of(ONE, [ONE, OTHER], loader()) == expected


def test_a_spec_is_asked_for_by_name():
    for call in (
        lambda: weight_matching(ONE, ONE, OTHER),
        lambda: joint_matching(ONE.state_dict(), [ONE, OTHER]),
    ):
        with pytest.raises(TypeError, match="spec: expected a PermutationSpec, as"):
            call()
