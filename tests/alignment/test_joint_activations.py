from itertools import combinations

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from raysweep.alignment import activation_matching, joint_activation_matching, match_jointly
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import PermutationSpec
from tests.alignment.test_activation_matching import networks, values
from tests.conftest import mlp
from tests.symmetry.checks import as_lists

CONFIGS = [mlp(), ModelConfig("resnet20", 3, None, "batch", (1, 8, 8), 10)]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.model)
def test_permuted_copies_become_equal(digits, config):
    """P_i[A] are recovered up to one common permutation: all aligned networks are bitwise the same."""
    spec = PermutationSpec.trace(build(config), digits.train.images[:2])
    state = initialised(config, "pytorch", 0).state_dict()
    generator = torch.Generator().manual_seed(0)
    copies = [spec.apply(spec.random(generator), state) for _ in range(4)]
    models = [build(config) for _ in copies]
    for model, copy in zip(models, copies, strict=True):
        model.load_state_dict(copy)
    found = joint_activation_matching(models, digits.train.images[:300], tensor="first")
    first, *rest = [spec.apply(p, copy) for p, copy in zip(found.permutations, copies, strict=True)]
    assert all(torch.equal(first[name], other[name]) for other in rest for name in first)


@pytest.fixture(scope="module")
def standardised(digits, trained):
    """By network and group, the last values less their mean and divided by their length."""
    every = []
    for model in networks(trained):
        found = values(model, digits.train.images[:400], "last")
        every.append({})
        for group, each in found.items():
            centred = each[:, 0] - each[:, 0].mean(dim=0)
            lengths = centred.norm(dim=0)
            every[-1][group] = torch.where(lengths > 1e-9, centred / lengths, 0.0)
    return every


def total(standardised, permutations):
    return sum(
        (standardised[i][group][:, p.indices[group]] * standardised[j][group][:, q.indices[group]])
        .sum()
        .item()
        for (i, p), (j, q) in combinations(enumerate(permutations), 2)
        for group in standardised[0]
    )


def test_objective_is_the_sum_of_correlations_and_at_least_that_of_every_reference(
    digits, trained, standardised
):
    models, images = networks(trained), digits.train.images[:400]
    found = joint_activation_matching(models, images)
    assert found.objective == pytest.approx(total(standardised, found.permutations), rel=1e-9)
    identity = [type(p).identity(p.sizes()) for p in found.permutations]
    assert found.objective_identity == pytest.approx(total(standardised, identity), rel=1e-9)
    for reference in models:
        through = [activation_matching(reference, model, images).permutation for model in models]
        assert found.objective >= total(standardised, through) * (1 - 1e-12)


def test_no_network_gains_by_matching_it_to_the_sum_of_the_others(digits, trained, standardised):
    """Written plainly: the units of a network against the summed standardised values of the others."""
    found = joint_activation_matching(networks(trained), digits.train.images[:400])
    for group in standardised[0]:
        moved = [
            each[group][:, p.indices[group]] for each, p in zip(standardised, found.permutations, strict=True)
        ]
        for member, own in enumerate(moved):
            others = sum(other for place, other in enumerate(moved) if place != member)
            similarity = (others.T @ own).numpy()
            rows, columns = linear_sum_assignment(similarity, maximize=True)
            assert similarity[rows, columns].sum() <= similarity.trace() * (1 + 1e-9)


def test_two_networks_are_a_pair(digits, trained):
    models, images = networks(trained[:2]), digits.train.images[:400]
    joint, pair = joint_activation_matching(models, images), activation_matching(*models, images)
    assert joint.objective == pytest.approx(pair.objective, rel=1e-12)
    first, second = joint.permutations
    assert as_lists(first.inverse().compose(second)) == as_lists(pair.permutation)


def test_random_similarities_are_improved_beyond_every_reference():
    generator = torch.Generator().manual_seed(0)
    pairs = list(combinations(range(4), 2))
    better = 0
    for _ in range(10):
        similar = {pair: {"g": torch.rand(6, 6, generator=generator, dtype=torch.float64)} for pair in pairs}

        def value(units, similar=similar):
            return sum(similar[i, j]["g"][units[i], units[j]].sum().item() for i, j in pairs)

        found = match_jointly(similar, [])
        assert found.objective == pytest.approx(
            value([p.indices["g"] for p in found.permutations]), rel=1e-12
        )
        through = []
        for reference in range(4):
            units = [torch.arange(6)] * 4
            for (i, j), matrices in similar.items():
                if reference in (i, j):
                    matrix = matrices["g"] if reference == i else matrices["g"].T
                    other = j if reference == i else i
                    units[other] = torch.from_numpy(linear_sum_assignment(matrix.numpy(), maximize=True)[1])
            through.append(value(units))
        assert found.objective >= max(through) * (1 - 1e-12)
        better += found.objective > max(through) * (1 + 1e-12)
    assert better > 5


def test_too_few_networks_and_unequal_ones_are_refused(digits):
    model = build(mlp())
    with pytest.raises(ValueError, match="1 networks: a joint alignment requires at least two"):
        joint_activation_matching([model], digits.train.images[:4])
    with pytest.raises(ValueError, match=r"group layers\.1: networks of different widths, 16 and 8 units"):
        joint_activation_matching([model, build(mlp(8))], digits.train.images[:4])
