"""Measures against their definitions, by brute force on networks of a few units."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.nn import functional
from torch.utils._pytree import tree_map

from raysweep.connectivity import Mending, curve, mean_grid, pair_grid, simplex_grid
from raysweep.connectivity.measures.calibrated_loss import calibrated_loss
from raysweep.connectivity.measures.calibration_error import calibration_error
from raysweep.connectivity.measures.disagreement import disagreement
from raysweep.connectivity.measures.ensemble import ensemble
from raysweep.connectivity.measures.feature_connectivity import feature_connectivity
from raysweep.connectivity.measuring import EXAMPLES, OFFERED, measured
from raysweep.connectivity.outputs import Outputs
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork
from raysweep.models.precision import Numerics
from raysweep.registry import taken
from tests.conftest import mlp
from tests.connectivity.test_one_measure import random_state
from tests.pretended_device import DEVICE, pretended_device

ALL = {
    measure.__name__: measure
    for measure in (calibrated_loss, calibration_error, disagreement, ensemble, feature_connectivity)
}
LENET = ModelConfig("lenet", 2, None, "batch", (1, 8, 8), 10)


def logits_of(labels, seed=0, classes=10):
    """Random logits that are right more often than not, and too large."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(labels), classes, generator=generator)
    return 4 * (noise + 1.5 * functional.one_hot(labels, classes))


@pytest.fixture(scope="module")
def labels():
    return torch.arange(300) % 10


def test_each_half_has_the_temperature_that_minimises_the_loss_of_the_other(labels):
    logits = logits_of(labels).double()

    def loss(inverse, half):
        return functional.cross_entropy(inverse * logits[half::2], labels[half::2]).item()

    found = [
        minimize_scalar(lambda log, half=half: loss(np.exp(log), half), bounds=(-4, 4), method="bounded").x
        for half in (0, 1)
    ]
    expected = (loss(np.exp(found[0]), 1) + loss(np.exp(found[1]), 0)) / 2
    assert calibrated_loss(logits, labels) == pytest.approx(expected, rel=1e-6)
    assert expected < 0.9 * functional.cross_entropy(logits, labels).item()
    assert calibrated_loss(7 * logits, labels) == pytest.approx(calibrated_loss(logits, labels), rel=1e-6)


def test_a_temperature_has_bounds(labels):
    """Without any error, and where the logits say nothing."""
    right = 3.0 * functional.one_hot(labels, 10)
    assert 0 <= calibrated_loss(right, labels) < 1e-6
    assert calibrated_loss(torch.zeros(300, 10), labels) == pytest.approx(np.log(10))
    assert calibrated_loss(logits_of(labels), (labels + 1) % 10) == pytest.approx(np.log(10), abs=0.1)


def test_calibration_error_by_its_definition(labels):
    logits, gap = logits_of(labels), 0.0
    confidence, answers = logits.double().softmax(1).max(1)
    for number in range(15):
        chosen = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if chosen.any():
            right = (answers == labels)[chosen].double().mean()
            gap += chosen.double().mean() * abs(right - confidence[chosen].mean())
    assert calibration_error(logits, labels) == pytest.approx(float(gap))


def test_an_ensemble_leaves_out_what_has_no_weight():
    sure, wrong = torch.tensor([[0.0, -2000.0]]), torch.tensor([[-1500.0, 0.0]])
    found = ensemble(torch.stack([sure, wrong]), torch.tensor([0]), torch.tensor([0.0, 1.0]))
    assert found == {"loss": 1500.0, "error": 1.0}


def test_disagreement_and_ensemble_by_their_definitions(labels):
    ends = torch.stack([logits_of(labels, seed) for seed in (1, 2)])
    weights = torch.tensor([0.25, 0.75], dtype=torch.float64)
    answers = ends.argmax(2)
    differ = [(answers[0] != answers[i]).double().mean().item() for i in range(2)]
    assert disagreement(ends[0], ends, weights) == pytest.approx(0.75 * differ[1])
    mixed = (weights[:, None, None] * ends.double().softmax(2)).sum(0)
    found = ensemble(ends, labels, weights)
    assert found["loss"] == pytest.approx(-mixed.gather(1, labels[:, None]).log().mean().item())
    assert found["error"] == pytest.approx((mixed.argmax(1) != labels).double().mean().item())


def test_feature_connectivity_by_its_definition():
    generator = torch.Generator().manual_seed(0)
    ends, own = torch.randn(2, 8, 5, 3, generator=generator), torch.randn(8, 5, 3, generator=generator)
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64)
    mixed = 0.3 * ends[0] + 0.7 * ends[1]
    expected = 1 - functional.cosine_similarity(own.flatten(1), mixed.flatten(1)).mean().item()
    found = feature_connectivity({"layer": own}, {"layer": ends}, weights)
    assert found == {"layer": pytest.approx(expected, rel=1e-5)}
    assert feature_connectivity({"layer": 3 * mixed}, {"layer": ends}, weights)["layer"] < 1e-6


def test_measures_compute_on_the_device_of_the_logits(labels):
    ends = torch.stack([logits_of(labels, seed) for seed in (1, 2)])
    weights = torch.tensor([0.25, 0.75], dtype=torch.float64)
    given = {"logits": ends[0], "end_logits": ends, "labels": labels, "weights": weights}
    given |= {"features": {"layer": ends[1]}, "end_features": {"layer": ends}}
    expected = {name: called(measure, given) for name, measure in ALL.items()}
    with pretended_device():
        moved = tree_map(lambda tensor: tensor.to(DEVICE), given)
        found = {name: called(measure, moved) for name, measure in ALL.items()}
    assert found == expected


def called(measure, given):
    return measure(**{name: given[name] for name in taken(measure, OFFERED)})


def line_and_outputs(network, states, grid, split, mending=Mending(), end=None):  # noqa: B008
    outputs = Outputs(grid, len(split))
    return curve(network, states, grid, split, mending, end, outputs), outputs


WAYS = {
    "one by one": (LENET, pair_grid(5), {}, {}),
    "in one pass": (mlp(12), simplex_grid(6), {}, {}),
    "recomputed": (LENET, pair_grid(5), {"recompute": True}, {}),
    "repaired": (mlp(12), pair_grid(5), {"repair": True}, {}),
    "streamed": (mlp(12), pair_grid(5), {}, {"precision": "bfloat16"}),
    "mean": (mlp(12), mean_grid(4), {}, {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_keeping_outputs_changes_no_risk_and_they_are_those_of_the_mixtures(digits, way):
    config, grid, mending, numerics = WAYS[way]
    network, split = FlatNetwork(build(config), Numerics(**numerics)), digits.test
    states = [random_state(network.model, seed) for seed in range(grid.shape[1])]
    mending = Mending(**dict.fromkeys(mending, digits.train.images[:300]))
    plain = curve(network, states, grid, split, mending)
    line, outputs = line_and_outputs(network, states, grid, split, mending, lambda index: plain.ends[index])
    assert line.loss.tolist() == plain.loss.tolist()
    assert line.ends == plain.ends
    near = {"rel": 3e-2} if numerics else {"rel": 1e-5}
    for point, loss in enumerate(line.loss):
        assert functional.cross_entropy(outputs.at(point), split.labels).item() == pytest.approx(loss, **near)
    for logits, end in zip(outputs.ends, line.ends, strict=True):
        assert functional.cross_entropy(logits, split.labels).item() == pytest.approx(end.loss, **near)


@pytest.mark.parametrize("way", WAYS)
def test_a_network_against_itself_has_no_excess(digits, way):
    config, grid, mending, numerics = WAYS[way]
    network, split = FlatNetwork(build(config), Numerics(**numerics)), digits.test
    states = [random_state(network.model, 0)] * grid.shape[1]
    mending = Mending(**dict.fromkeys(mending, digits.train.images[:300]))
    _, outputs = line_and_outputs(network, states, grid, split, mending)
    found = measured(ALL, network, states, grid, split, outputs, mending)
    assert {each.part for each in found["ensemble"]} == {"loss", "error"}
    for each in (each for parts in found.values() for each in parts):
        assert (each.largest_excess, each.centre_excess) == (0, 0)
        assert {*each.values, *each.ends} == {each.largest}
    assert {each.largest for each in (*found["disagreement"], *found["feature_connectivity"])} == {0}


def test_a_measure_does_not_depend_on_what_else_is_measured(digits):
    """Hidden units are computed in the precision of the networks, what a user's measure does in its own."""

    def own(logits):
        return (logits @ logits.T).sum().item()

    split, states = digits.test.first(50), [random_state(build(mlp(8)), seed) for seed in range(2)]
    network, grid = FlatNetwork(build(mlp(8)), Numerics(precision="bfloat16")), pair_grid(3)
    _, outputs = line_and_outputs(network, states, grid, split)
    functions = [{"own": own}, {"own": own, "feature_connectivity": ALL["feature_connectivity"]}]
    alone, beside = (measured(each, network, states, grid, split, outputs)["own"] for each in functions)
    assert alone[0].values.tolist() == beside[0].values.tolist()


def test_measures_along_a_line_agree_with_brute_force(digits):
    """Mixtures of state dicts, hidden units by hooks; the networks themselves are the points at its ends."""
    model, split = build(mlp(12)).eval(), digits.test
    states = [random_state(model, seed) for seed in range(2)]
    grid, network = pair_grid(5), FlatNetwork(build(mlp(12)))
    _, outputs = line_and_outputs(network, states, grid, split)
    found = measured(ALL, network, states, grid, split, outputs)
    hidden, logits = [], []
    linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][:-1]
    for alpha in (0, 0.25, 0.5, 0.75, 1):
        seen = []
        hooks = [
            m.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out.relu())) for m in linear
        ]
        model.load_state_dict({name: torch.lerp(t, states[1][name], alpha) for name, t in states[0].items()})
        with torch.no_grad():
            logits.append(model(split.images))
        hidden.append(seen)
        [hook.remove() for hook in hooks]
    for name in ("calibrated_loss", "calibration_error"):
        (each,) = found[name]
        expected = [ALL[name](values, split.labels) for values in logits]
        np.testing.assert_allclose(each.values, expected, rtol=1e-4, atol=1e-6)
        assert each.centre_excess == pytest.approx(expected[2] - (expected[0] + expected[4]) / 2, abs=1e-4)
        assert each.ends.tolist() == each.values[[0, 4]].tolist()
    for layer, each in enumerate(found["feature_connectivity"]):
        mixed = (hidden[0][layer] + hidden[4][layer])[:EXAMPLES] / 2
        cosine = functional.cosine_similarity(hidden[2][layer][:EXAMPLES], mixed).mean().item()
        assert each.centre == pytest.approx(1 - cosine, rel=1e-3)
    assert len(found["feature_connectivity"]) == len(linear)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda logits: "much", "returns str"),
        (lambda weights: {str(weights[0]): 1.0}, "returns .*different names"),
        (lambda logits: logits[:, 99], "fails: IndexError: index 99"),
    ],
)
def test_a_measure_must_return_numbers(digits, returned, message):
    network, split = FlatNetwork(build(mlp(4))), digits.test
    states = [random_state(network.model, seed) for seed in range(2)]
    _, outputs = line_and_outputs(network, states, pair_grid(3), split)
    with pytest.raises(ValueError, match=f"measure 'mine:it' {message}"):
        measured({"mine:it": returned}, network, states, pair_grid(3), split, outputs)
