"""Training over resident tensors: deterministic, and resumable at every optimiser step."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from raysweep.choices import choose
from raysweep.data.augment import flip_and_crop
from raysweep.data.resident import Resident
from raysweep.digest import seed_for
from raysweep.training.moment import steps_per_epoch
from raysweep.training.optimiser import (
    begin_momentum,
    load_optimiser_state,
    make_optimiser,
    optimiser_state,
)
from raysweep.training.schedule import Schedule

Masks = Mapping[str, torch.Tensor]

AUGMENT: dict[str, Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]] = {
    "none": lambda images, black, seed: images,
    "flip_crop": flip_and_crop,
}
AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16}


class Diverged(FloatingPointError):
    """The loss is no longer finite; the message names the step and the learning rate."""


@dataclass(frozen=True)
class Hyperparameters:
    """What determines each step of a run, other than its weights and its data.

    `order` and `data_seed` seed all random numbers. `precision` is float32 or bfloat16 (autocast of the
    forward pass; the weights stay float32). With `drop_last`, an epoch omits the examples that do not fill
    its last batch.
    """

    batch_size: int
    optimiser: str
    momentum: float
    nesterov: bool
    weight_decay: float
    schedule: Schedule
    data_seed: int
    order: str = ""
    augment: str = "none"
    precision: str = "float32"
    channels_last: bool = False
    drop_last: bool = False

    def steps_per_epoch(self, examples: int) -> int:
        return steps_per_epoch(examples, self.batch_size, self.drop_last)


def checked_logits(output: object) -> torch.Tensor:
    """Return a network's output in training mode. Raises `ValueError` unless it is a tensor of logits."""
    if not isinstance(output, torch.Tensor):
        raise ValueError(
            f"in training mode the network returns {type(output).__name__}, not a tensor of logits; build it "
            "without the outputs that exist only in training, for example with aux_logits=False"
        )
    return output


@dataclass
class _Epoch:
    number: int = -1
    batches: tuple[torch.Tensor, ...] = field(default=())


class TrainingRun:
    """One training run from the step `start`; `step` is the next optimiser step to be taken.

    The order of the examples in epoch e is drawn from a generator seeded by (order, data_seed, e);
    augmentation and dropout in step s are drawn from generators seeded by (order, data_seed, s). A run
    therefore depends only on its data, its weights, the state of its optimiser and its hyperparameters.
    Weights that are False in `masks` are set to zero without momentum, and stay zero because their gradients
    are zeroed.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Resident,
        hyperparameters: Hyperparameters,
        start: int = 0,
        masks: Masks | None = None,
        optimiser: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        self.model = model
        self.step = start
        self._data = data
        self._hyperparameters = hyperparameters
        self._per_epoch = hyperparameters.steps_per_epoch(len(data.train))
        self._epoch = _Epoch()
        self._device = data.train.images.device
        self._augment = choose("augment", hyperparameters.augment, AUGMENT)
        self._autocast_type = choose("precision", hyperparameters.precision, AUTOCAST)
        self._optimiser = make_optimiser(
            model,
            hyperparameters.optimiser,
            hyperparameters.schedule.peak,
            hyperparameters.momentum,
            hyperparameters.nesterov,
            hyperparameters.weight_decay,
        )
        parameters = dict(model.named_parameters())
        self._masked = [parameters[name] for name in masks or {}]
        self._keep = [keep.to(p) for p, keep in zip(self._masked, (masks or {}).values(), strict=True)]
        if optimiser:
            load_optimiser_state(model, self._optimiser, optimiser)
        with torch.no_grad():
            for parameter, keep in zip(self._masked, self._keep, strict=True):
                for tensor in (parameter, *self._optimiser.state.get(parameter, {}).values()):
                    if tensor.shape == keep.shape:  # AdamW's count of steps is a scalar
                        tensor.mul_(keep)

    def optimiser_state(self) -> dict[str, torch.Tensor]:
        return optimiser_state(self.model, self._optimiser)

    def advance(self, to_step: int) -> None:
        """Take optimiser steps until `step` is `to_step`, and leave the model in evaluation mode.

        Raises `Diverged` when the loss at one of these steps is not finite.
        """
        first, losses = self.step, []
        self.model.train()
        while self.step < to_step:
            losses.append(self._update(self._batch()))
            self.step += 1
        self.model.eval()
        if losses:
            finite = torch.isfinite(torch.stack(losses)).tolist()  # one synchronisation for all steps
            if not all(finite):
                step = first + finite.index(False)
                rate = self._hyperparameters.schedule.rate(step)
                raise Diverged(f"the training loss is not finite at step {step}, learning rate {rate:g}")

    def _batch(self) -> torch.Tensor:
        epoch, position = divmod(self.step, self._per_epoch)
        if epoch != self._epoch.number:
            hyperparameters = self._hyperparameters
            seed = seed_for(f"data order{hyperparameters.order}", hyperparameters.data_seed, epoch)
            generator = torch.Generator().manual_seed(seed)
            order = torch.randperm(len(self._data.train), generator=generator).to(self._device)
            self._epoch = _Epoch(epoch, torch.split(order, hyperparameters.batch_size))
        return self._epoch.batches[position]

    def _update(self, batch: torch.Tensor) -> torch.Tensor:
        hyperparameters = self._hyperparameters
        self._optimiser.param_groups[0]["lr"] = hyperparameters.schedule.rate(self.step)
        seed = seed_for(f"augmentation{hyperparameters.order}", hyperparameters.data_seed, self.step)
        images = self._augment(self._data.train.images[batch], self._data.black, seed)
        if hyperparameters.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        self._seed_dropout()
        self._optimiser.zero_grad(set_to_none=True)
        with self._autocast():
            logits = checked_logits(self.model(images))
            loss = functional.cross_entropy(logits, self._data.train.labels[batch])
        if loss.requires_grad:  # otherwise this step used no trainable parameter
            loss.backward()  # type: ignore[no-untyped-call]
        for parameter, keep in zip(self._masked, self._keep, strict=True):
            if parameter.grad is not None:  # it is None when the parameter is frozen or was not used
                parameter.grad.mul_(keep)
        begin_momentum(self._optimiser)
        self._optimiser.step()
        return loss.detach()

    def _seed_dropout(self) -> None:
        """Seed the global generators, from which a user's own network may draw, for this step.

        A network on a GPU may also draw on the CPU, for example to choose the layers that stochastic depth
        skips.
        """
        seed = seed_for(f"dropout{self._hyperparameters.order}", self._hyperparameters.data_seed, self.step)
        torch.default_generator.manual_seed(seed)
        if self._device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        if self._autocast_type is None:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, dtype=self._autocast_type)
