"""Units in blocks: grouped convolutions and GroupNorm are matched as all their symmetries allow."""

import copy
from itertools import permutations, product

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from raysweep.alignment import (
    activation_matching,
    joint_activation_matching,
    joint_matching,
    match_similarities,
    weight_matching,
)
from raysweep.alignment.assignments import Coupling, assignment_of_blocks
from raysweep.alignment.weight_matching import objective
from raysweep.symmetry import Permutation
from raysweep.symmetry.blocks import block_index
from raysweep.symmetry.groups import Blocks
from tests.symmetry.blocked import CASES, SHAPE
from tests.symmetry.checks import traced


def network(case, seed=0):
    """A network of random weights; norm scales and biases differ from unit to unit."""
    model = copy.deepcopy(CASES[case][0]).float().eval()
    generator = torch.Generator().manual_seed(seed)
    for tensor in model.state_dict().values():
        if tensor.dim() == 1:
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
        elif tensor.dim():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) / tensor[0].numel() ** 0.5)
    return model


def pair(case, seed):
    """A spec, a network and a permuted copy of it."""
    model = network(case, seed)
    spec = traced(model, SHAPE)
    moved = spec.apply(spec.random(torch.Generator().manual_seed(seed + 100)), model.state_dict())
    return spec, model.state_dict(), moved


def assert_equal(one, other):
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("order", ["random", "forward", "backward"])
@pytest.mark.parametrize("case", CASES)
def test_weight_matching_recovers_a_permuted_copy_bitwise(case, order):
    for seed in range(4):
        spec, state, moved = pair(case, seed)
        found = weight_matching(spec, state, moved, seed, order=order)
        assert_equal(spec.apply(found.permutation, moved), state)


@pytest.mark.parametrize("case", CASES)
def test_cosine_kernel_recovers_a_permuted_copy(case):
    spec, state, moved = pair(case, 0)
    found = weight_matching(spec, state, moved, 0, kernel="cosine", restarts=3)
    assert_equal(spec.apply(found.permutation, moved), state)


@pytest.mark.parametrize("case", CASES)
def test_joint_matching_recovers_permuted_copies(case):
    spec, state, moved = pair(case, 0)
    states = [state, moved, spec.apply(spec.random(torch.Generator().manual_seed(7)), state)]
    found = joint_matching(spec, states, 0)
    first, *others = [spec.apply(p, each) for p, each in zip(found.permutations, states, strict=True)]
    for other in others:
        assert_equal(other, first)


@pytest.mark.parametrize("case", CASES)
def test_activations_recover_a_permuted_copy(case):
    models, images = [network(case) for _ in range(3)], torch.randn(60, *SHAPE)
    spec = traced(models[0], SHAPE)
    state = models[0].state_dict()
    for seed, model in enumerate(models[1:]):
        model.load_state_dict(spec.apply(spec.random(torch.Generator().manual_seed(seed)), state))
    found = activation_matching(*models[:2], images, "all", "correlation", pixels=9)
    assert_equal(spec.apply(found.permutation, models[1].state_dict()), state)
    joint = joint_activation_matching(models, images, "all", "correlation", pixels=9)
    first, *others = [spec.apply(p, m.state_dict()) for p, m in zip(joint.permutations, models, strict=True)]
    for other in others:
        assert_equal(other, first)
