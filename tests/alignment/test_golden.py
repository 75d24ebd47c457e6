"""The alignments of fixed networks: where they change, the version in their ids must change with them."""

import torch

from raysweep.alignment import (
    activation_matching,
    embed,
    joint_activation_matching,
    joint_matching,
    weight_matching,
)
from raysweep.digest import digest
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.plan.identity import ALIGNMENT_VERSION, EMBEDDING_VERSION
from raysweep.symmetry import PermutationSpec
from tests.symmetry.checks import as_lists

GOLDEN = (4, "bfec67eadfd09734fab7")
GOLDEN_EMBEDDING = (5, "6bebd73c17ebe1be9ef3")


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


def test_golden_embedding():
    (spec, (narrow,)), (wide_spec, (wide,)) = networks(3, 1), networks(4, 1)
    found = embed(spec, wide_spec, narrow.state_dict(), wide.state_dict(), 0).permutation(wide_spec)
    assert (EMBEDDING_VERSION, digest(as_lists(found))) == GOLDEN_EMBEDDING
