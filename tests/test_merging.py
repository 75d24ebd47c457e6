"""Merged networks: the mean after the alignment, its barrier and its statistics."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import raysweep
from raysweep.connectivity import barrier_of
from raysweep.errors import UserError
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import PermutationSpec
from raysweep.training.evaluation import evaluate
from tests.symmetry.checks import as_lists
from tests.test_library import IMAGES, LABELS, ONE, SPEC, loader, network


def permuted(seed):
    other = copy.deepcopy(ONE)
    other.load_state_dict(SPEC.apply(SPEC.random(torch.Generator().manual_seed(seed)), ONE.state_dict()))
    return other


@pytest.mark.parametrize(
    ("method", "count"),
    [(method, count) for method in ("weight_matching", "activation_matching", "joint") for count in (2, 3)],
)
def test_copies_in_another_order_are_merged_into_the_network(method, count):
    networks = [ONE, *map(permuted, range(1, count))]
    merged = raysweep.merge(networks, IMAGES, ONE(IMAGES).argmax(dim=1), method=method)
    torch.testing.assert_close(merged.model(IMAGES), ONE(IMAGES))
    assert merged.before.error_barrier > 0.05
    assert merged.after.error_barrier == 0
    assert merged.after.loss_barrier < 1e-6
    assert len(merged.permutations) == count
    assert merged.risk.error == merged.risks[0].error == 0
    assert [each.training for each in networks] == [True] * count


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("weight_matching", {}),
        ("activation_matching", {}),
        ("sinkhorn_rebasin", {"steps": 1}),
        ("straight_through", {"steps": 1}),
        ("learned", {"steps": 1, "rounds": 1}),
    ],
)
def test_networks_of_tokens_are_merged(method, options):
    tokens = torch.randint(5, (20, 4), generator=torch.Generator().manual_seed(0))
    networks = [initialised(ModelConfig("gpt", 4, 1, "layer", (3,), 5), "pytorch", seed) for seed in range(2)]
    merged = raysweep.merge(networks, tokens[:, :-1], tokens[:, 1:], method=method, options=options)
    following = merged.model(tokens[:, :-1]).argmax(dim=2)
    assert merged.risk.error == pytest.approx((following != tokens[:, 1:]).float().mean().item())
    with pytest.raises(
        ValueError, match=r"logits \(2, 'classes'\) as its answers for labels \(2,\), not \(2, 3, 5"
    ):
        raysweep.merge(networks, tokens[:, :-1], tokens[:, 0])


def test_wrappers_are_taken_off():
    """Of DataParallel the state dict has other names; the wrapped networks are not changed."""
    other = network(1)
    wrapped = [nn.DataParallel(ONE), nn.DataParallel(other)]
    expected = raysweep.merge([ONE, other], IMAGES, LABELS, method="orthogonal_matching")
    for networks, model in ((wrapped, None), ([wrapped[0], other.state_dict()], None), (wrapped, wrapped[0])):
        merged = raysweep.merge(networks, IMAGES, LABELS, method="orthogonal_matching", model=model)
        assert merged.after == expected.after
        assert type(merged.model) is type(ONE)
    assert barrier_of(wrapped[0], wrapped, IMAGES, LABELS) == expected.before
    assert isinstance(wrapped[0], nn.DataParallel)
    assert PermutationSpec.trace(wrapped[0], IMAGES[:2]) == SPEC


@pytest.mark.parametrize("repair", [False, True])
def test_the_barrier_is_that_of_the_mean_that_is_returned(repair):
    networks = [network(seed) for seed in range(2)]
    merged = raysweep.merge(networks, loader(), repair=repair)
    moved = [SPEC.apply(p, n.state_dict()) for p, n in zip(merged.permutations, networks, strict=True)]
    given = {"repair": IMAGES} if repair else {}
    assert merged.after == barrier_of(ONE, moved, IMAGES, LABELS, **given)
    mean = sum(risk.loss for risk in merged.risks) / 2
    assert merged.risk.loss - mean == pytest.approx(merged.after.loss_centre, abs=1e-5)
    assert merged.before == barrier_of(ONE, networks, loader())


def test_running_statistics_are_computed_again_where_asked_for():
    networks = []
    for seed in range(2):
        torch.manual_seed(seed)
        networks.append(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)))
        networks[-1](IMAGES)
    plain, repaired = (raysweep.merge(networks, IMAGES, repair=repair).model for repair in (False, True))
    assert torch.equal(plain[0].weight, repaired[0].weight)
    mean = repaired[0](IMAGES).mean(dim=0)
    torch.testing.assert_close(repaired[1].running_mean, mean)
    assert not torch.allclose(plain[1].running_mean, mean)


OWN = """
from raysweep.symmetry import Permutation

def reversed_units(spec, source, models, images, fast=False):
    assert not models[0].training and fast
    source["0.weight"].zero_()
    same = Permutation.identity(spec.sizes).indices
    return Permutation({group: index.flip(0) for group, index in same.items()})
"""


def test_a_function_of_the_users_own_finds_permutations(tmp_path, monkeypatch):
    (tmp_path / "own_merging.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    merged = raysweep.merge(
        [ONE, network(1)], IMAGES, method="own_merging:reversed_units", options={"fast": True}
    )
    assert [each.share_of_fixed_points() for each in merged.permutations] == [1, 0]
    assert merged.model[0].weight.abs().min() > 0
    with pytest.raises(UserError, match=r"options\.slow: .* has no such option; valid choices: fast"):
        raysweep.merge([ONE] * 2, IMAGES, method="own_merging:reversed_units", options={"slow": True})


def test_options_of_the_method_are_those_of_a_sweep_file():
    networks = [ONE, network(1), network(2)]
    for count, method, options in (
        (2, "weight_matching", {"kernel": "cosine", "biases": False}),
        (3, "weight_matching", {"biases": False}),
        (3, "activation_matching", {"tensor": "first", "examples": 20}),
        (2, "learned", {"steps": 3, "rounds": 0, "batch_size": 10}),
    ):
        found = raysweep.merge(networks[:count], IMAGES, method=method, options=options).permutations
        assert len(found) == count
    states = [each.state_dict() for each in networks]
    by_weights = raysweep.alignment.joint_matching(SPEC, states, biases=False).permutations
    found = raysweep.merge(networks, IMAGES, options={"biases": False}).permutations
    assert as_lists(found[1]) == as_lists(by_weights[1])
    by_activations = raysweep.activation_matching(*networks[:2], IMAGES[:20], "first").permutation
    options = {"tensor": "first", "examples": 20}
    found = raysweep.merge(networks[:2], IMAGES, method="activation_matching", options=options).permutations
    assert as_lists(found[1]) == as_lists(by_activations)


@pytest.mark.parametrize(
    ("count", "method", "options", "said"),
    [
        (2, "learned", {"stpes": 3}, r"unknown key align.learned.stpes: did you mean 'steps'\? valid keys"),
        (2, "learned", {"steps": -3}, "align.learned.steps = -3: expected an integer"),
        (
            3,
            "weight_matching",
            {"kernel": "cosine"},
            "kernel: has no effect on weight_matching of 3 networks",
        ),
        (2, "joint", {"kernel": "cosine"}, "weight_matching.kernel: has no effect on joint of 2 networks"),
    ],
)
def test_an_option_that_means_nothing_is_named(count, method, options, said):
    with pytest.raises(ValueError, match=said):
        raysweep.merge([ONE] * count, IMAGES, method=method, options=options)


def test_without_labels_nothing_is_measured_and_a_test_set_is_measured_on():
    networks = [ONE, network(1)]
    assert raysweep.merge(networks, IMAGES).after is None
    halves = (IMAGES[:100], LABELS[:100]), (IMAGES[100:], LABELS[100:])
    by_tensors = raysweep.merge(networks, IMAGES[:100], test=halves[1])
    batches = DataLoader(TensorDataset(*halves[1]), batch_size=30)
    by_loader = raysweep.merge(
        [each.state_dict() for each in networks], iter([halves[0]]), test=batches, model=ONE
    )
    assert by_tensors.after == by_loader.after
    assert by_tensors.risk == evaluate(by_loader.model, raysweep.data.resident.Split(*halves[1]))


def test_what_cannot_be_merged_is_said():
    with pytest.raises(ValueError, match="1 networks: at least two"):
        raysweep.merge([ONE], IMAGES)
    with pytest.raises(ValueError, match=r"unknown alignment method 'weights'.*weight_matching"):
        raysweep.merge([ONE, ONE], IMAGES, method="weights")
    with pytest.raises(
        ValueError, match="sinkhorn_rebasin aligns two networks alone; more of them: joint, wei"
    ):
        raysweep.merge([ONE] * 3, IMAGES, method="sinkhorn_rebasin")
    with pytest.raises(TypeError, match="'straight_through' needs those of the images"):
        raysweep.merge([ONE, ONE], IMAGES, method="straight_through")
    with pytest.raises(TypeError, match="networks: expected a list"):
        raysweep.merge(ONE, IMAGES)


def test_the_library_is_there_by_name_and_importing_it_is_cheap():
    assert raysweep.PermutationSpec is PermutationSpec
    assert {"merge", "barrier_of", "weight_matching"} <= set(dir(raysweep))
    with pytest.raises(AttributeError, match="no attribute 'merge_all'"):
        raysweep.merge_all()
    script = "import sys, raysweep; assert not {'torch', 'ray', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
