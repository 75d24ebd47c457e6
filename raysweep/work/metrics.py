"""The risks of a network in training, on the splits on which its progress is measured."""

from functools import lru_cache

import torch

from raysweep.accelerator.capture import new_stream, on
from raysweep.data.resident import Resident, Split
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.precision import Numerics
from raysweep.plan.cost.estimate import METRIC_EXAMPLES
from raysweep.training.evaluation import Risk, evaluate
from raysweep.training.loop import TrainingRun
from raysweep.training.repeated_evaluation import Evaluation


def splits_of(data: Resident) -> dict[str, Split]:
    """Return the examples on which a network is evaluated while it is trained, or when it is imported."""
    return {"train": data.train.first(METRIC_EXAMPLES), "test": data.test}


class Metrics:
    """Evaluates the networks of one trial on one data set, as they are trained."""

    def __init__(self, data: Resident) -> None:
        self._splits = splits_of(data)

    def start(self, run: TrainingRun) -> None:
        """Begin to evaluate the network of a run as it is now."""
        self._run = run

    def risks(self) -> dict[str, Risk]:
        """Return the risks by split of the network that was begun last; on a GPU this waits for them."""
        return {name: evaluate(self._run.model.eval(), split) for name, split in self._splits.items()}


class _Shared:
    """The network, on the device, whose weights are replaced, and its evaluations by split."""

    def __init__(self, config: ModelConfig, data: Resident, numerics: Numerics, channels_last: bool) -> None:
        self.stream = new_stream(data.device)
        model = build(config).to(data.device).eval().requires_grad_(False)
        if channels_last:
            model.to(memory_format=torch.channels_last)
        self._tensors = [*model.parameters(), *model.buffers()]
        with on(self.stream):
            splits = splits_of(data).items()
            self.evaluations = {name: Evaluation(model, split, numerics, config) for name, split in splits}

    @torch.no_grad()
    def load(self, run: TrainingRun) -> None:
        given = [*run.model.parameters(), *run.model.buffers()]
        for tensor, value in zip(self._tensors, given, strict=True):
            tensor.copy_(value)


class SharedMetrics(Metrics):
    """The metrics of a trial on a GPU, in the precision of training.

    The weights are copied into a network that all trials of the process share, so that one captured
    evaluation with its memory serves them all.
    """

    def __init__(self, config: ModelConfig, data: Resident, numerics: Numerics, channels_last: bool) -> None:
        super().__init__(data)
        self._shared = _shared(config, data, numerics, channels_last)
        self._totals: dict[str, torch.Tensor] = {}

    def start(self, run: TrainingRun) -> None:
        stream = self._shared.stream
        if stream:  # a run whose steps are plain has no stream of its own
            stream.wait_stream(run.stream or torch.cuda.current_stream(stream.device))
        with on(stream):
            self._shared.load(run)
            for name, evaluation in self._shared.evaluations.items():
                evaluation.start()
                self._totals[name] = evaluation.totals.clone()

    def risks(self) -> dict[str, Risk]:
        with on(self._shared.stream):
            found = self._shared.evaluations
            return {name: each.risks(self._totals[name][None])[0] for name, each in found.items()}


@lru_cache(maxsize=4)
def _shared(config: ModelConfig, data: Resident, numerics: Numerics, channels_last: bool) -> _Shared:
    return _Shared(config, data, numerics, channels_last)
