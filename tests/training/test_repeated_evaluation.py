"""An evaluation that is prepared once agrees with a plain one, whatever the weights are at the moment."""

import gc
import logging
import shutil
import weakref

import pytest
import torch
from torch import nn

from raysweep.data.resident import ImagesWritten
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.models.precision import Numerics, computing_in
from raysweep.training import repeated_evaluation
from raysweep.training.evaluation import evaluate
from raysweep.training.repeated_evaluation import Evaluation
from raysweep.vocabulary import WAYS, Way
from tests import networks
from tests.conftest import mlp

CONFIGS = [mlp(), mlp(norm="layer"), mlp(norm="batch")] + [
    ModelConfig(model, 4, None, norm, (1, 8, 8), 10)
    for model in ("lenet", "resnet20")
    for norm in ("layer", "batch")
]


def assert_agrees(found, plain, tolerance=1e-6):
    assert found.loss == pytest.approx(plain.loss, rel=tolerance)
    assert found.error == plain.error


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("examples", [1, 100, 397])
def test_it_agrees_with_a_plain_evaluation_and_changes_nothing(digits, config, examples, monkeypatch):
    monkeypatch.setitem(repeated_evaluation.ROOM, "cpu", 100 * 4 * 4 * 64)
    split, model = digits.test.first(examples), build(config).eval()
    evaluation, images = Evaluation(model, split), split.images.clone()
    for seed in range(2):
        state = initialised(config, "kaiming_normal", seed).state_dict()
        model.load_state_dict(state)
        evaluation.start()
        assert_agrees(evaluation.risk(), evaluate(model, split))
        assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert evaluation.way == Way.CAPTURED
    assert torch.equal(split.images, images)


def test_in_bfloat16_it_agrees_with_autocast(digits):
    model = initialised(mlp(64), "kaiming_normal", 0).eval()
    evaluation = Evaluation(model, digits.test, Numerics("bfloat16"))
    evaluation.start()
    with computing_in("bfloat16", torch.device("cpu")):
        assert_agrees(evaluation.risk(), evaluate(model, digits.test))
    exact = evaluate(model, digits.test)
    assert 0 < abs(evaluation.risk().loss - exact.loss) < 0.01


def plain_layers(seed):
    return initialised(mlp(), "kaiming_normal", seed)


def tied_layers(seed):
    torch.manual_seed(seed)
    return networks.tied((1, 8, 8), 10, 6)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile requires a C++ compiler")
@pytest.mark.parametrize("make", [plain_layers, tied_layers])
def test_networks_of_an_architecture_share_compiled_code(digits, make):
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for seed in range(2):
        model = make(seed).eval()
        evaluation = Evaluation(model, digits.test, Numerics(ways=WAYS["auto"]), make)
        evaluation.start()
        assert evaluation.way == Way.COMPILED
        assert_agrees(evaluation.risk(), evaluate(model, digits.test))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before + 1


class Branching(nn.Module):
    """Its control flow depends on the data, so it cannot be compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, images):
        logits = self.head(images.flatten(1))
        return logits if logits.mean().item() > 0 else 2 * logits


def test_what_cannot_be_compiled_is_evaluated_as_it_is(digits, caplog):
    model = Branching().eval()
    with caplog.at_level(logging.WARNING, "raysweep"):
        evaluation = Evaluation(model, digits.test, Numerics(ways=WAYS["auto"]))
    evaluation.start()
    assert evaluation.way == Way.CAPTURED
    assert "evaluation of Branching: not compiled (" in caplog.text
    assert_agrees(evaluation.risk(), evaluate(model, digits.test))


class Unsteady(nn.Module):
    """Some of its calls give other logits, like a graph that reads the wrong memory."""

    def __init__(self, wrong: set[int]) -> None:
        super().__init__()
        self.head, self.calls, self.wrong = nn.Linear(64, 10), 0, wrong

    def forward(self, images):
        self.calls += 1
        return self.head(images.flatten(1)) * (2 if self.calls in self.wrong else 1)


@pytest.mark.parametrize(
    ("wrong", "problem"), [({3}, "repeating it gives other bits"), ({3, 4}, "its loss is ")]
)
def test_a_result_that_cannot_be_right_is_not_used(digits, caplog, wrong, problem):
    """The first two calls measure the outputs of layers and prepare the evaluation."""
    model = Unsteady(wrong).eval()
    evaluation = Evaluation(model, digits.test)
    with caplog.at_level(logging.WARNING, "raysweep"):
        evaluation.start()
    assert evaluation.way == Way.PLAIN
    assert f"evaluation of Unsteady: not captured ({problem}" in caplog.text
    assert evaluation.risk() == evaluate(model, digits.test)


class Writing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, images):
        images -= 1
        return self.head(images.flatten(1))


def test_a_network_that_writes_into_its_input_is_refused(digits):
    split = type(digits.test)(digits.test.images.clone(), digits.test.labels)
    with pytest.raises(ImagesWritten):
        Evaluation(Writing().eval(), split).start()


def test_an_unknown_precision_is_an_error():
    expected = "unknown precision 'half'; valid: float32, tf32, bfloat16"
    with pytest.raises(ValueError, match=expected), computing_in("half", torch.device("cpu")):
        pass


def test_tf32_is_not_left_on():
    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [flag.allow_tf32 for flag in flags]
    with computing_in("tf32", torch.device("cuda")):
        assert all(flag.allow_tf32 for flag in flags)
    assert [flag.allow_tf32 for flag in flags] == before


def test_an_evaluation_is_freed_with_its_last_user(digits):
    """Without the garbage collector: a graph holds the memory of a forward pass."""
    evaluation = Evaluation(build(mlp()).eval(), digits.test)
    evaluation.start()
    alive = weakref.ref(evaluation)
    gc.disable()
    try:
        del evaluation
        assert alive() is None
    finally:
        gc.enable()
