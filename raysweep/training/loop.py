"""Stochastic gradient descent over resident tensors, step by step and repeatable."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from raysweep.data.resident import Split
from raysweep.digest import seed_for
from raysweep.training.schedule import learning_rate


@dataclass(frozen=True)
class Hyperparameters:
    """SGD's settings; `epochs` passes in batches of `batch_size`, the last of an epoch may be smaller."""

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule: str
    data_seed: int

    def steps_per_epoch(self, examples: int) -> int:
        return -(-examples // self.batch_size)

    def steps(self, examples: int) -> int:
        return self.epochs * self.steps_per_epoch(examples)


class TrainingRun:
    """One training run; `step` is the number of optimiser steps taken.

    The order of epoch e is drawn from a generator seeded by (data_seed, e), so a run depends on
    nothing but its model's weights and its settings.
    """

    def __init__(self, model: nn.Module, train: Split, settings: Hyperparameters) -> None:
        self.model = model
        self.step = 0
        self._train = train
        self._settings = settings
        self._optimiser = torch.optim.SGD(
            model.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            fused=True,
        )

    def advance(self, to_step: int) -> None:
        """Take optimiser steps until `step` is `to_step`."""
        settings = self._settings
        per_epoch = settings.steps_per_epoch(len(self._train))
        total = settings.steps(len(self._train))
        self.model.train()
        batches: tuple[torch.Tensor, ...] = ()
        while self.step < to_step:
            epoch, position = divmod(self.step, per_epoch)
            if not batches or position == 0:
                batches = self._order(epoch).split(settings.batch_size)
            rate = learning_rate(settings.schedule, settings.learning_rate, self.step, total)
            self._optimiser.param_groups[0]["lr"] = rate
            self._update(batches[position])
            self.step += 1
        self.model.eval()

    def _order(self, epoch: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed_for("data order", self._settings.data_seed, epoch))
        return torch.randperm(len(self._train), generator=generator).to(self._train.labels.device)

    def _update(self, batch: torch.Tensor) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        logits = self.model(self._train.images[batch])
        functional.cross_entropy(logits, self._train.labels[batch]).backward()
        self._optimiser.step()
