"""The risks of a network in training, also where the trials of a process share one evaluation."""

from contextlib import nullcontext

import torch

from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.models.precision import FLOAT32
from raysweep.training.loop import TrainingRun
from raysweep.vocabulary import Way
from raysweep.work.metrics import Metrics, SharedMetrics
from tests.conftest import settings


def test_shared_metrics_are_those_of_each_network_when_it_was_evaluated(digits):
    """By the stand-in on the CPU; one run goes on before its risks are read."""
    config = ModelConfig("lenet", 2, None, "batch", (1, 8, 8), 10)
    runs, expected = [], []
    for seed in range(2):
        run = TrainingRun(initialised(config, "pytorch", seed), digits, settings(), ways=(Way.CAPTURED,))
        run.advance(10)
        alone = Metrics(digits)
        alone.start(run)
        expected.append(alone.risks())
        runs.append(run)
    shared = [SharedMetrics(config, digits, FLOAT32, channels_last=False) for _ in runs]
    for metrics, run in zip(shared, runs, strict=True):
        metrics.start(run)
        run.advance(20)
    for metrics, risks in zip(shared, expected, strict=True):
        found = metrics.risks()
        assert found.keys() == risks.keys() == {"train", "test"}
        for split, risk in risks.items():
            assert found[split].error == risk.error
            torch.testing.assert_close(found[split].loss, risk.loss)
    assert expected[0] != expected[1]


def test_an_evaluation_waits_for_the_stream_that_trains(digits, monkeypatch):
    """Steps that are plain are queued on the current stream, which a GPU does not wait for by itself."""

    class Stream:
        device = torch.device("cuda")

        def __init__(self):
            self.awaited = []

        def wait_stream(self, other):
            self.awaited.append(other)

    config = ModelConfig("mlp", 4, 1, "none", (1, 8, 8), 10)
    run = TrainingRun(initialised(config, "pytorch", 0), digits, settings())
    monkeypatch.setattr("raysweep.work.metrics.on", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "current")
    metrics = SharedMetrics(config, digits, FLOAT32, channels_last=False)
    metrics._shared.stream = Stream()
    for stream, awaited in ((None, "current"), ("its own", "its own")):
        run.stream = stream
        metrics.start(run)
        assert metrics._shared.stream.awaited.pop() == awaited
