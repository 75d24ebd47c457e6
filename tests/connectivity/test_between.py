import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from raysweep.connectivity import barrier_of, curve_of, pair_grid
from raysweep.models.build import build
from raysweep.models.initialise import initialised
from tests.conftest import mlp
from tests.networks import Recurrent


def excess(states, data, weights):
    """Loss and error of a mixture above those of the networks, written plainly."""
    model = build(mlp()).eval()

    def risks(state):
        model.load_state_dict(state)
        with torch.no_grad():
            logits = model(data.images)
        wrong = (logits.argmax(dim=1) != data.labels).double().mean().item()
        return np.array([functional.cross_entropy(logits, data.labels).item(), wrong])

    mixed = {n: sum(w * state[n] for w, state in zip(weights, states, strict=True)) for n in states[0]}
    return risks(mixed) - sum(w * risks(state) for w, state in zip(weights, states, strict=True))


def test_a_pair_a_simplex_and_a_mean(digits, trained):
    model, data = build(mlp()).train(), digits.test
    before = copy.deepcopy(model.state_dict())
    pair = barrier_of(model, trained[:2], data.images, data.labels)
    along = np.array([excess(trained[:2], data, weights) for weights in pair_grid(25)])
    assert [pair.loss_barrier, pair.error_barrier] == pytest.approx(along.max(axis=0), abs=1e-5)
    assert [pair.loss_centre, pair.error_centre] == pytest.approx(along[12], abs=1e-5)
    three = barrier_of(model, trained, data.images, data.labels)
    assert three.loss_centre == pytest.approx(excess(trained, data, [1 / 3] * 3)[0], abs=1e-5)
    assert len(curve_of(model, trained, data.images, data.labels).loss) == 91
    four = barrier_of(model, [*trained, trained[0]], data.images, data.labels)
    assert four.loss_barrier == pytest.approx(excess([*trained, trained[0]], data, [0.25] * 4)[0], abs=1e-5)
    assert model.training
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_a_mixture_of_recurrent_networks_is_evaluated_with_its_own_weights(digits, kind):
    """Torch's layers read their weights from a list of their own."""
    networks = [Recurrent((1, 8, 8), 10, 4, kind).eval() for _ in range(2)]
    images, labels = digits.test.images.view(-1, 1, 8, 8), digits.test.labels
    found = curve_of(networks[0], networks, images, labels, pair_grid(5)).loss
    mixed = copy.deepcopy(networks[0])
    one, other = (each.state_dict() for each in networks)
    for share, loss in zip((0, 0.25, 0.5, 0.75, 1), found, strict=True):
        mixed.load_state_dict({name: (1 - share) * one[name] + share * other[name] for name in one})
        assert loss == pytest.approx(functional.cross_entropy(mixed(images), labels).item(), rel=1e-5)


def test_a_grid_of_ends_has_the_risks_of_the_networks(digits, trained):
    images, labels = digits.test.images, digits.test.labels
    ends = curve_of(build(mlp()), trained[:2], images, labels, np.eye(2))
    whole = curve_of(build(mlp()), trained[:2], images, labels)
    assert ends.loss.tolist() == pytest.approx([whole.loss[0], whole.loss[-1]], rel=1e-5)
    assert ends.error.tolist() == [whole.error[0], whole.error[-1]]


def test_statistics_are_recomputed_where_asked(digits):
    config = mlp(norm="batch")
    states = [initialised(config, "pytorch", seed).state_dict() for seed in range(2)]
    kept, repaired = (
        barrier_of(build(config), states, digits.test.images, digits.test.labels, recompute=images)
        for images in (None, digits.train.images)
    )
    assert kept != repaired


def test_images_from_inference_mode_are_as_good_as_others(digits, trained):
    images, labels = digits.test.images, digits.test.labels
    with torch.inference_mode():
        inferred = images.clone()
    assert barrier_of(build(mlp()), trained[:2], inferred, labels) == barrier_of(
        build(mlp()), trained[:2], images, labels
    )


def test_errors(digits, trained):
    images, labels = digits.test.images, digits.test.labels
    with pytest.raises(ValueError, match="1 networks: a barrier requires at least two"):
        barrier_of(build(mlp()), trained[:1], images, labels)
    with pytest.raises(ValueError, match=r"weights: expected the shape \(points, 2\), not \(25, 3\)"):
        barrier_of(build(mlp()), trained[:2], images, labels, np.zeros((25, 3)))
    with pytest.raises(ValueError, match=r"tensor layers\.1\.weight: expected shape \(8, 64\)"):
        barrier_of(build(mlp(8)), trained[:2], images, labels)
