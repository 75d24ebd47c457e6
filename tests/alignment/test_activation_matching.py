import pytest
import torch

from raysweep.alignment import activation_matching, collect_activations
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import PermutationSpec
from tests.conftest import mlp

CONFIGS = [mlp(), mlp(norm="layer")] + [
    ModelConfig(model, 4, None, norm, (1, 8, 8), 10)
    for model in ("lenet", "vgg11", "resnet20")
    for norm in ("layer", "batch")
]


@pytest.mark.parametrize("similarity", ["inner_product", "correlation", "cosine"])
@pytest.mark.parametrize("tensor", ["first", "last"])
@pytest.mark.parametrize("config", CONFIGS)
def test_units_with_distinct_activations_are_recovered(digits, config, tensor, similarity):
    model, other = initialised(config, "kaiming_normal", 0), build(config)
    spec = PermutationSpec.trace(model, digits.train.images[:2])
    hidden = spec.random(torch.Generator().manual_seed(1))
    other.load_state_dict(spec.apply(hidden, model.state_dict()))
    images = digits.train.images[:700]
    mine, theirs = (collect_activations(each, images, tensor) for each in (model, other))
    assert {group: values.shape[1] for group, values in mine.samples.items()} == spec.sizes
    found = activation_matching(mine, theirs, similarity)
    for group, index in found.permutation.indices.items():
        values = mine.samples[group]
        aligned = theirs.samples[group][:, index]
        torch.testing.assert_close(aligned, values, atol=2e-3, rtol=1e-3)
        distinct = torch.cdist(values.T, values.T).fill_diagonal_(1).min(dim=1).values > 1e-2
        # the inner product may prefer a longer unit to the same one; the others never do
        if similarity != "inner_product":
            undone = hidden.indices[group][index]
            assert torch.equal(undone[distinct], torch.arange(len(index))[distinct])


def test_correlation_agrees_with_its_definition(digits, trained):
    models = []
    for state in trained[:2]:
        models.append(build(mlp()))
        models[-1].load_state_dict(state)
    mine, theirs = (collect_activations(model, digits.train.images[:500], "last") for model in models)
    found = activation_matching(mine, theirs, "correlation")
    total = 0.0
    for group, index in found.permutation.indices.items():
        for i, j in enumerate(index.tolist()):
            pair = torch.stack([mine.samples[group][:, i], theirs.samples[group][:, j]]).double()
            if (pair.std(dim=1) > 0).all():
                total += torch.corrcoef(pair)[0, 1].item()
    assert found.objective == pytest.approx(total, rel=1e-6)
    assert found.objective > found.objective_identity


def test_unknown_names_are_refused(digits):
    model = build(mlp())
    with pytest.raises(ValueError, match="first, last"):
        collect_activations(model, digits.train.images[:4], "middle")
    activations = collect_activations(model, digits.train.images[:4], "last")
    with pytest.raises(ValueError, match="correlation"):
        activation_matching(activations, activations, "distance")
