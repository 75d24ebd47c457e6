"""The risk of predicting the next character, in every way in which it is computed, against its definition."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from raysweep.connectivity.mixing import mixed_risks, risks_with_ends
from raysweep.connectivity.outputs import Outputs
from raysweep.data import DataConfig, load_arrays, scaling_of
from raysweep.data.resident import make_resident
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork
from raysweep.models.initialise import initialised
from raysweep.training.evaluation import evaluate
from raysweep.training.loop import TrainingRun
from raysweep.training.repeated_evaluation import Evaluation
from raysweep.training.schedule import Schedule
from tests.conftest import settings

WEIGHTS = np.array([[1, 0], [0.75, 0.25], [0.5, 0.5], [0, 1]])


@pytest.fixture(scope="module")
def text():
    arrays = load_arrays(DataConfig("text", options='{"length": 16}', fraction=0.2))
    return make_resident(arrays, torch.device("cpu"), scaling_of(arrays, "none"))


def gpt(text, seed=0):
    return initialised(ModelConfig("gpt", 8, None, "layer", (16,), text.classes), "pytorch", seed)


def risk(logits, labels):
    """Mean over all characters, one by one."""
    logs = logits.double().log_softmax(2)
    places = [(n, t) for n in range(len(labels)) for t in range(labels.shape[1])]
    losses = [-logs[n, t, labels[n, t]].item() for n, t in places]
    wrong = [logits[n, t].argmax().item() != labels[n, t].item() for n, t in places]
    return pytest.approx(np.mean(losses), rel=1e-6), np.mean(wrong)


@torch.no_grad()
def test_the_risk_is_the_mean_over_all_characters(text):
    split, models = text.test.first(40), [gpt(text, seed).eval() for seed in range(2)]
    expected = risk(models[0](split.images), split.labels)
    once, again = evaluate(models[0], split), Evaluation(models[0], split)
    again.start()
    for found in (once, again.risk()):
        assert expected == (found.loss, found.error)


@torch.no_grad()
def test_the_risks_of_mixtures_and_their_logits_are_those_of_mixed_weights(text):
    split, states = text.test.first(30), [gpt(text, seed).state_dict() for seed in range(2)]
    network, outputs = FlatNetwork(gpt(text)), Outputs(WEIGHTS, 30)
    vectors = [network.flatten(state) for state in states]
    found = mixed_risks(network, vectors, WEIGHTS, split)
    risks_with_ends(network, vectors, WEIGHTS[1:3], split, outputs=outputs)
    for point, row in enumerate(WEIGHTS):
        model = gpt(text).eval()
        model.load_state_dict({n: row[0] * states[0][n] + row[1] * states[1][n] for n in states[0]})
        logits = model(split.images)
        assert risk(logits, split.labels) == (found[point].loss, found[point].error)
        torch.testing.assert_close(outputs.at(point), logits.flatten(0, 1), rtol=1e-3, atol=1e-5)


def test_training_lowers_the_loss_below_that_of_the_frequencies_of_characters(text):
    run = TrainingRun(gpt(text), text, settings(optimiser="adamw", schedule=Schedule("constant", 0.01, 60)))
    frequencies = torch.bincount(text.train.labels.flatten(), minlength=text.classes).add(1).log()
    labels = text.test.labels.flatten()
    known = functional.cross_entropy(frequencies.expand(len(labels), -1), labels)
    run.advance(60)
    assert evaluate(run.model, text.test).loss < known
