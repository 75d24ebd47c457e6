import torch

from raysweep.models.build import build
from raysweep.models.initialise import initialise
from raysweep.training.evaluation import evaluate
from raysweep.training.loop import TrainingRun
from tests.conftest import SETTINGS, mlp


def weights(digits, stops):
    model = build(mlp())
    initialise(model, "pytorch", 0)
    run = TrainingRun(model, digits.train, SETTINGS)
    for stop in stops:
        run.advance(stop)
        evaluate(model, digits.test)
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


def test_pauses_change_no_bit(digits):
    assert torch.equal(weights(digits, [66]), weights(digits, [0, 1, 22, 30, 44, 66]))


def test_training_learns(digits, trained):
    model = build(mlp())
    model.load_state_dict(trained[0])
    assert evaluate(model.eval(), digits.test).error < 0.2
