"""The alignments of fixed networks: where they change, the version in their ids must change with them."""

import pytest
import torch

from raysweep.alignment import (
    activation_matching,
    embed,
    frank_wolfe,
    joint_activation_matching,
    joint_matching,
    learned,
    orthogonal_matching,
    sinkhorn_rebasin,
    straight_through,
    weight_matching,
)
from raysweep.digest import digest
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.plan.versions import ALIGNMENT_VERSION, EMBEDDING_VERSION
from raysweep.symmetry import PermutationSpec
from tests.symmetry.checks import as_lists

pytestmark = pytest.mark.versions

GOLDEN = (5, "1916dc93d8d5db811315")
GOLDEN_TRAINED = (5, "7f24b7a2efec6f7dfbc4")
GOLDEN_LEARNED = (5, "ad62d69f46c6744dd829")
GOLDEN_NUMBERS = {
    "linear": (1546.791422, -0.944023, 31),
    "restarts": (1546.791422, -0.944023, 49),
    "started": (1403.491057, -0.944023, 21),
    "cosine": (31.792440, -0.101550, 24),
    "stacked": (2236.253515, 51.391232, 34),
    "one group": (-0.368801, -13.837796, 2),
    "joint": (4021.732293, 22.596844, 204),
    "activations": (31.171766, 2.940333, 4),
    "joint activations": (190.534801, 9.989417, 49),
    "embedding": (-7316.462078, -10731.147102, 50),
}
GOLDEN_ROTATED = {True: 17.973304, False: 39.294906}  # objectives with and without residual streams
GOLDEN_REFERENCES = (2, 0)
GOLDEN_EMBEDDING = (6, "6bebd73c17ebe1be9ef3")


def networks(width, count):
    """Modules with weights that depend on nothing but torch's generator."""
    config, models = ModelConfig("lenet", width, None, "none", (1, 8, 8), 10), []
    for seed in range(count):
        generator = torch.Generator().manual_seed(seed)
        models.append(build(config))
        for tensor in models[-1].state_dict().values():
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return PermutationSpec.trace(models[0], torch.zeros(2, 1, 8, 8), proved=False), models


def test_golden_alignments():
    spec, models = networks(3, 3)
    states = [model.state_dict() for model in models]
    images = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    found = [
        weight_matching(spec, states[0], states[1], 0).permutation,
        weight_matching(spec, states[0], states[1], 0, kernel="cosine", order="forward").permutation,
        *joint_matching(spec, states, 0).permutations,
        activation_matching(models[0], models[1], images).permutation,
        *joint_activation_matching(models, images, "all").permutations,
    ]
    assert (ALIGNMENT_VERSION, digest([as_lists(each) for each in found])) == GOLDEN


def test_golden_permutations_by_training():
    """Of methods that return permutations alone."""
    spec, models = networks(3, 3)
    states, labels = [model.state_dict() for model in models], torch.arange(40) % 10
    images = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    data = models, images, labels
    found = [
        *frank_wolfe(spec, states, 0, steps=3, restarts=2),
        sinkhorn_rebasin(spec, states[:2], 0, *data, loss="l2", steps=10),
        sinkhorn_rebasin(spec, states[:2], 0, *data, loss="random", steps=10),
        *straight_through(spec, states, 0, *data, steps=3),
    ]
    assert (ALIGNMENT_VERSION, digest([as_lists(each) for each in found])) == GOLDEN_TRAINED


def test_golden_learned_permutations():
    spec, models = networks(3, 3)
    states = [model.state_dict() for model in models]
    images = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    found = learned(spec, states, 0, models, images, steps=3, rounds=2, candidates=16)
    assert (ALIGNMENT_VERSION, digest([as_lists(each) for each in found])) == GOLDEN_LEARNED


def test_golden_objectives_and_assignments():
    """What the tables say of the same alignments: objective, that of the identity, assignments solved."""
    spec, models = networks(3, 3)
    states = [model.state_dict() for model in models]
    images = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    wide_spec, (wide,) = networks(4, 1)
    found = {
        "linear": weight_matching(spec, states[0], states[1], 0),
        "restarts": weight_matching(spec, states[0], states[1], 0, restarts=2),
        "started": weight_matching(
            spec, states[0], states[1], 0, start=spec.random(torch.Generator().manual_seed(1))
        ),
        "cosine": weight_matching(spec, states[0], states[1], 0, kernel="cosine", order="backward"),
        "stacked": weight_matching(spec, states[:2], states[1:], 0, order="forward"),
        "one group": weight_matching(
            spec, states[0], states[1], 0, groups=list(spec.sizes)[:1], biases=False
        ),
        "joint": joint_matching(spec, states, 0),
        "activations": activation_matching(models[0], models[1], images),
        "joint activations": joint_activation_matching(models, images, "all"),
        "embedding": embed(spec, wide_spec, states[0], wide.state_dict(), 0, restarts=2),
    }
    numbers = {
        name: [each.objective, each.objective_identity, each.iterations] for name, each in found.items()
    }
    assert set(numbers) == set(GOLDEN_NUMBERS)
    for name, expected in GOLDEN_NUMBERS.items():
        assert numbers[name] == pytest.approx(expected, rel=1e-4), name
    assert (found["joint"].reference, found["joint activations"].reference) == GOLDEN_REFERENCES


def test_golden_rotations():
    models = [build(ModelConfig("vit", 8, 1, "layer", (1, 8, 8), 10), seed) for seed in range(2)]
    images = torch.zeros(2, 1, 8, 8)
    spec = PermutationSpec.trace(models[0], images, proved=False).with_rotations(models[0], images)
    for streams, golden in GOLDEN_ROTATED.items():
        found = orthogonal_matching(spec, *(model.state_dict() for model in models), streams=streams)
        assert (ALIGNMENT_VERSION, found.objective) == (5, pytest.approx(golden, rel=1e-4))


def test_golden_embedding():
    (spec, (narrow,)), (wide_spec, (wide,)) = networks(3, 1), networks(4, 1)
    found = embed(spec, wide_spec, narrow.state_dict(), wide.state_dict(), 0).permutation(wide_spec)
    assert (EMBEDDING_VERSION, digest(as_lists(found))) == GOLDEN_EMBEDDING
