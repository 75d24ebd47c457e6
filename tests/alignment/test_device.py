"""Alignments on a device give the results of the CPU, and rarely make the processor wait for the device."""

from functools import cache

import pytest
import torch
from torch import nn

from raysweep.alignment import (
    activation_matching,
    embed,
    frank_wolfe,
    joint_activation_matching,
    joint_matching,
    joint_similarities,
    layer_similarities,
    learned,
    learned_relaxation,
    orthogonal_matching,
    sinkhorn_rebasin,
    straight_through,
    weight_matching,
)
from raysweep.alignment.learned_mixtures import Mixtures, points
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.symmetry import Permutation, PermutationSpec
from tests.pretended_device import DEVICE, pretended_device
from tests.symmetry.blocked import SHAPE, ResNeXtBlock
from tests.symmetry.checks import as_lists


def lenet(extra):
    return build(ModelConfig("lenet", 3 + extra, None, "none", SHAPES["lenet"], 10))


def resnext(extra):
    """A residual stream, and a grouped convolution whose units lie in blocks."""
    return ResNeXtBlock(nn.BatchNorm2d, 4 + extra, 6 + 3 * extra)


MODELS = {"lenet": lenet, "resnext": resnext}
SHAPES = {"lenet": (1, 8, 8), "resnext": SHAPE}


@cache
def spec_of(model, extra=0):
    return PermutationSpec.trace(MODELS[model](extra), torch.zeros(2, *SHAPES[model]), proved=False)


def drawn(network, seed, kept=1.0):
    """A state of a network in which this share of the weights is not zero."""
    generator, state = torch.Generator().manual_seed(seed), {}
    for name, tensor in network.state_dict().items():
        values = torch.randn(tensor.shape, generator=generator)
        values = values.abs() if name.endswith("running_var") else values
        state[name] = (values * (torch.rand(tensor.shape, generator=generator) < kept)).to(tensor.dtype)
    return state


class Networks:
    """Three networks of a model, the last one pruned, and a wider one, on a device."""

    def __init__(self, model, device="cpu"):
        self.spec, self.wide_spec = spec_of(model), spec_of(model, 1)
        self.models = [MODELS[model](0).to(device) for _ in range(3)]
        self.states = [
            moved(drawn(network, seed, 0.2 if seed == 2 else 1), device)
            for seed, network in enumerate(self.models)
        ]
        self.wide = moved(drawn(MODELS[model](1), 3), device)
        for network, state in zip(self.models, self.states, strict=True):
            network.load_state_dict(state, assign=True)
        self.images = torch.randn(30, *SHAPES[model], generator=torch.Generator().manual_seed(0)).to(device)


METHODS = {
    "linear": lambda n: weight_matching(n.spec, *n.states[:2], 0),
    "pruned": lambda n: weight_matching(n.spec, *[n.states[2]] * 2, 0),
    "cosine": lambda n: weight_matching(n.spec, *n.states[:2], 0, kernel="cosine"),
    "stacked": lambda n: weight_matching(n.spec, n.states[:2], n.states[1:], 0),
    "joint": lambda n: joint_matching(n.spec, n.states[:2], 0),
    "embedded": lambda n: embed(n.spec, n.wide_spec, n.states[0], n.wide, 0),
    "activations": lambda n: activation_matching(*n.models[:2], n.images, "all"),
    "joint activations": lambda n: joint_activation_matching(n.models, n.images),
}
LEARNED = {
    "frank_wolfe": lambda n: frank_wolfe(n.spec, n.states, 0, steps=1),
    "sinkhorn l2": lambda n: sinkhorn_rebasin(*learning(n, 2), loss="l2", steps=1),
    "sinkhorn": lambda n: sinkhorn_rebasin(*learning(n, 2), loss="random", steps=1, batch_size=15),
    "learned": lambda n: learned(*learning(n, 2)[:-1], steps=1, batch_size=15, rounds=1, candidates=3),
    "straight_through": lambda n: straight_through(*learning(n, 2), steps=1, batch_size=15),
}


def learning(n, count):
    labels = (torch.arange(len(n.images)) % 5).to(n.images.device)
    return n.spec, n.states[:count], 0, n.models[:count], n.images, labels


def moved(state, device):
    return {name: tensor.to(device) for name, tensor in state.items()}


def numbers(found):
    return found.objective, found.objective_identity, found.iterations


def indices(found):
    if hasattr(found, "indices"):
        return {group: index.tolist() for group, index in found.indices.items()}
    return [as_lists(each) for each in getattr(found, "permutations", None) or [found.permutation]]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("method", METHODS)
def test_a_device_gives_the_bits_of_the_cpu(model, method):
    """All tensors of an operation are on one device, or the pretended device raises an error."""
    expected = METHODS[method](Networks(model))
    with pretended_device():
        found = METHODS[method](Networks(model, DEVICE))
    assert numbers(found) == numbers(expected)
    assert indices(found) == indices(expected)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("method", LEARNED)
def test_permutations_are_learned_on_a_device_as_on_the_cpu(model, method):
    expected = LEARNED[method](Networks(model))
    with pretended_device():
        found = LEARNED[method](Networks(model, DEVICE))
    one, other = (each if isinstance(each, list) else [each] for each in (expected, found))
    assert [as_lists(each) for each in one] == [as_lists(each) for each in other]


def test_rotations_are_found_on_a_device_as_on_the_cpu():
    model = build(ModelConfig("vit", 4, 1, "layer", (1, 8, 8), 10))
    spec = PermutationSpec.trace(model, torch.zeros(2, 1, 8, 8), proved=False)
    spec = spec.with_rotations(model, torch.zeros(2, 1, 8, 8))
    states = [drawn(model, seed) for seed in range(2)]
    expected = orthogonal_matching(spec, *states)
    with pretended_device():
        there = [moved(state, DEVICE) for state in states]
        found = orthogonal_matching(spec, *there)
        turned = spec.apply(found.permutation, there[1])
        assert all(tensor.device.type == DEVICE for tensor in turned.values())
    assert numbers(found) == numbers(expected)
    for group, rotation in expected.permutation.rotations.items():
        assert torch.equal(found.permutation.rotations[group], rotation)


def test_the_processor_waits_for_no_step_of_learned_permutations(monkeypatch):
    """But for the hardened permutations after some of them."""
    monkeypatch.setattr(learned_relaxation, "EVERY", 2)
    with pretended_device() as waits:
        networks = Networks("lenet", DEVICE)
        mixtures = Mixtures(networks.spec, networks.models[0], networks.states, points(3))
        start, examples = [Permutation.identity(networks.spec.sizes)] * 3, mixtures.examples(networks.images)
        training, generator = learned_relaxation.Training(4, 8, 0.3, 0.2), torch.Generator().manual_seed(0)
        found = learned_relaxation.Relaxation(mixtures, start, examples, generator, training, {}).run()
        next(found)
        waits.clear()
        next(found)
    assert waits == {"copy to cpu": 2 * len(networks.spec.sizes)}


@pytest.mark.parametrize("kernel", ["linear", "cosine"])
def test_the_processor_waits_once_for_each_assignment(kernel):
    with pretended_device() as waits:
        networks = Networks("lenet", DEVICE)
        waits.clear()
        found = weight_matching(networks.spec, *networks.states[:2], 0, kernel=kernel)
        few = 10 + 4 * len(networks.spec.sizes)  # objectives, norms, and units of equal weights by group
        assert found.iterations <= sum(waits.values()) <= found.iterations + few
        assert waits["index from the CPU"] == waits[f"copy to {DEVICE}"] == 0


def test_rows_of_parameters_take_one_transfer():
    expected, permutations = Networks("lenet"), []
    for seed in range(3):
        permutations.append(expected.spec.random(torch.Generator().manual_seed(seed)))
    pair = layer_similarities(expected.spec, *expected.states[:2], permutations[0])
    joint = joint_similarities(expected.spec, expected.states, permutations)
    with pretended_device() as waits:
        networks = Networks("lenet", DEVICE)
        waits.clear()
        assert layer_similarities(networks.spec, *networks.states[:2], permutations[0]) == pair
        assert joint_similarities(networks.spec, networks.states, permutations) == joint
        assert waits == {"copy to cpu": 2}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a GPU, beside the pretended device")
@pytest.mark.parametrize("model", MODELS)
def test_a_gpu_recovers_permuted_copies(model):
    networks = Networks(model, "cuda")
    for seed in range(2):
        permutation = networks.spec.random(torch.Generator().manual_seed(seed))
        copy = networks.spec.apply(permutation, networks.states[0])
        found = weight_matching(networks.spec, networks.states[0], copy, 0)
        back = networks.spec.apply(found.permutation, copy)
        assert all(torch.equal(back[name], tensor) for name, tensor in networks.states[0].items())


def test_mixing_devices_is_an_error_on_the_pretended_one():
    with pretended_device() as waits:
        here = torch.ones(3).to(DEVICE)
        with pytest.raises(RuntimeError, match="same device"):
            here + torch.ones(3)
        assert (here + 1).cpu().tolist() == [2, 2, 2]
        assert waits == {f"copy to {DEVICE}": 1, "copy to cpu": 1}
