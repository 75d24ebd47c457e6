"""The library in a notebook: networks are modules or state dicts, and examples tensors or loaders."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from raysweep.alignment import (
    activation_matching,
    frank_wolfe,
    joint_activation_matching,
    joint_matching,
    layer_similarities,
    learned,
    monomial_matching,
    sinkhorn_rebasin,
    straight_through,
    weight_matching,
)
from raysweep.connectivity import barrier_of
from raysweep.merging import merge
from raysweep.symmetry import Permutation, PermutationSpec


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


def test_every_method_takes_modules():
    """Some of them have no other use for the modules than their weights."""
    states, found = [ONE.state_dict(), OTHER.state_dict()], layer_similarities
    scaled = SPEC.with_scalings(ONE, IMAGES[:2])
    for call in (
        lambda one, other: [monomial_matching(scaled, one, other).permutation],
        lambda one, other: frank_wolfe(SPEC, [one, other]),
        lambda one, other: learned(SPEC, [one, other], 0, [ONE], IMAGES, steps=1, rounds=1),
        lambda one, other: [sinkhorn_rebasin(SPEC, [one, other], 0, [ONE], IMAGES, LABELS, steps=1)],
        lambda one, other: straight_through(SPEC, [one, other], 0, [ONE], IMAGES, LABELS, steps=1),
    ):
        assert all(map(same, call(ONE, OTHER), call(*states)))
    permutation = weight_matching(SPEC, ONE, OTHER).permutation
    assert found(SPEC, ONE, OTHER, permutation) == found(SPEC, *states, permutation)


WIDER = nn.Sequential(nn.Linear(6, 13), nn.ReLU(), nn.Linear(13, 8), nn.ReLU(), nn.Linear(8, 3))
PERMUTATION = SPEC.random(torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: barrier_of(ONE, [ONE, OTHER], IMAGES, LABELS + 1), ValueError, "for 3 classes, not 3"),
        (lambda: barrier_of(ONE, [ONE, OTHER], IMAGES, LABELS - 1), ValueError, "from 0 to 2, .* not -1"),
        (
            lambda: merge([ONE, OTHER], IMAGES, LABELS + 1),
            ValueError,
            "labels: expected integers from 0 to 2",
        ),
        (lambda: merge([ONE, OTHER], IMAGES, test=(IMAGES, LABELS + 1)), ValueError, "labels: expected"),
        (
            lambda: barrier_of(ONE, [ONE, OTHER], IMAGES, nn.functional.one_hot(LABELS, 3)),
            ValueError,
            r"\(2, 3\) for logits \(2, 3\); of one-hot labels give labels.argmax\(dim=-1\)",
        ),
        (
            lambda: sinkhorn_rebasin(SPEC, [ONE, OTHER], 0, [ONE], IMAGES, LABELS + 1),
            ValueError,
            "labels: expected",
        ),
        (
            lambda: straight_through(SPEC, [ONE, OTHER], 0, [ONE], IMAGES, LABELS[:9]),
            ValueError,
            "200 images, but 9 labels",
        ),
        (lambda: barrier_of(ONE, [ONE, OTHER], IMAGES[:0], LABELS[:0]), ValueError, "there are no examples"),
        (
            lambda: barrier_of(ONE, [ONE, OTHER], IMAGES.double(), LABELS),
            ValueError,
            "images: Sequential fails",
        ),
        (
            lambda: barrier_of(ONE, [ONE, OTHER], IMAGES, LABELS, repair=IMAGES[:, :5]),
            ValueError,
            r"repair: Sequential fails on the first ones, float32 \(2, 5\)",
        ),
        (
            lambda: barrier_of(ONE, [ONE, OTHER], IMAGES, LABELS.to("meta")),
            ValueError,
            "images on the device cpu, but labels on meta",
        ),
        (
            lambda: barrier_of(ONE, [ONE, OTHER], IMAGES, LABELS, [[0.5, 0.9]]),
            ValueError,
            "rows that sum to one",
        ),
        (
            lambda: barrier_of(ONE, [ONE, OTHER], IMAGES, LABELS, "pair"),
            TypeError,
            "weights: expected numbers",
        ),
        (lambda: barrier_of(None, [ONE, OTHER], IMAGES, LABELS), TypeError, "model: expected a module"),
        (
            lambda: weight_matching(SPEC, ONE, network(1).double()),
            ValueError,
            "torch.float64 on cpu in another",
        ),
        (lambda: weight_matching(SPEC, ONE, network(1).to("meta")), ValueError, "source: .* the device meta"),
        (lambda: weight_matching(SPEC, [], []), ValueError, "target: expected at least one network"),
        (
            lambda: activation_matching(ONE, OTHER, IMAGES[:, :5]),
            ValueError,
            "images: Sequential fails on the",
        ),
        (lambda: activation_matching(ONE, ONE.state_dict(), IMAGES, model=3), TypeError, "model: expected"),
        (
            lambda: merge([ONE.state_dict()] * 2, IMAGES, model=WIDER),
            ValueError,
            r"networks\[0\]: does not fit",
        ),
        (lambda: merge([], IMAGES), ValueError, "0 networks: at least two"),
        (lambda: merge([ONE, OTHER], IMAGES, seed="0"), TypeError, "seed: expected a value of type Integral"),
        (
            lambda: merge([ONE, OTHER], IMAGES, repair=IMAGES),
            TypeError,
            "repair: expected a value of type bool",
        ),
        (
            lambda: merge([ONE, OTHER], IMAGES, test=(IMAGES, LABELS, LABELS)),
            ValueError,
            "two batches have the",
        ),
        (lambda: learned(SPEC, [ONE, OTHER], 0, [], IMAGES), TypeError, "models: expected a list of modules"),
        (
            lambda: learned(SPEC, [ONE, OTHER], 0, [ONE], IMAGES, batch_size=0),
            ValueError,
            "at least 1, not 0",
        ),
        (lambda: PermutationSpec.trace(ONE.state_dict(), IMAGES), TypeError, "model: expected a module"),
        (lambda: PermutationSpec.trace(ONE, [IMAGES]), TypeError, "example_input: expected a tensor"),
        (lambda: PermutationSpec.trace(ONE, IMAGES[:0]), ValueError, "example_input: there are no examples"),
        (lambda: SPEC.with_scalings(WIDER, IMAGES[:2]), ValueError, "expected 12 entries along axis 0"),
        (lambda: SPEC.apply(None, ONE), TypeError, "expected a Permutation, not a value of type NoneType"),
        (lambda: SPEC.random(0), TypeError, "expected a torch.Generator"),
        (lambda: PERMUTATION.compose([0, 1]), TypeError, "expected a Permutation"),
        (lambda: Permutation({"0": [0, 1]}), TypeError, "group 0: expected a tensor of int64, not a list"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_error(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_a_spec_is_asked_for_by_name():
    for call in (
        lambda: weight_matching(ONE, ONE, OTHER),
        lambda: joint_matching(ONE.state_dict(), [ONE, OTHER]),
    ):
        with pytest.raises(TypeError, match="spec: expected a PermutationSpec, as"):
            call()
