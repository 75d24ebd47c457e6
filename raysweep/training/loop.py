"""Training over resident tensors: deterministic, and resumable at every optimiser step."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

import torch
from torch import nn

from raysweep.accelerator.capture import new_stream, on
from raysweep.accelerator.compiling import compiled, first_that_works
from raysweep.data.registry import AUGMENTATIONS
from raysweep.data.resident import Resident, Split, Window
from raysweep.digest import canonical
from raysweep.training.batches import Batches
from raysweep.training.captured import MOST, CapturedSteps, Unfaithful
from raysweep.training.hyperparameters import Hyperparameters
from raysweep.training.optimiser import optimiser_state
from raysweep.training.registry import optimiser_entry
from raysweep.training.step import Loss, Masks, Step, loss_of, stateless
from raysweep.vocabulary import Way

WINDOW = 2**28  # bytes of the examples that are sent to a device at a time, where not all of them fit
_LOSSES = "_compiled_losses"  # the attribute of a template with what has been compiled for it


class Diverged(FloatingPointError):
    """The loss is no longer finite; the message names the step and the learning rate."""


class TrainingRun:
    """One training run from the step `start`; `step` is the next optimiser step to be taken.

    A run depends only on its data, its weights, the state of its optimiser, its hyperparameters, and the
    `way` in which steps are taken, because compilation changes bits. It is the first of `ways` that works:
    compiled and captured, captured, or plain (see `CapturedSteps`); `fallback` says why others did not. A
    captured run has a `stream` of its own; several runs of a process then share the GPU, and none changes the
    bits of another. With `template`, a module of the same architecture, they share what is compiled.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Resident,
        hyperparameters: Hyperparameters,
        start: int = 0,
        masks: Masks | None = None,
        optimiser: Mapping[str, torch.Tensor] | None = None,
        ways: tuple[Way, ...] = (Way.PLAIN,),
        template: nn.Module | None = None,
    ) -> None:
        self.model, self.step, self.way, self.fallback = model, start, ways[0], ""
        self._template = template or model
        self._hyperparameters = hyperparameters
        self._device = data.device
        examples, data, window = _windowed(data, hyperparameters)
        self._most = MOST if window is None else min(MOST, len(window.split) // hyperparameters.batch_size)
        self._batches = Batches(examples, hyperparameters, self._device, window)
        self._step = Step(model, data, hyperparameters, masks or {}, optimiser or {})
        self._ways = ways
        self._captured: dict[int, CapturedSteps | None] = {}
        self._unchecked: list[tuple[int, torch.Tensor]] = []
        self.stream = None if ways == (Way.PLAIN,) else new_stream(self._device)

    def optimiser_state(self) -> dict[str, torch.Tensor]:
        return optimiser_state(self.model, self._step.optimiser, self._hyperparameters.optimiser)

    def advance(self, to_step: int) -> None:
        """Take optimiser steps until `step` is `to_step`, and leave the model in evaluation mode.

        Raises `Diverged` when the loss at one of these steps is not finite.
        """
        self.begin(to_step)
        self.check()

    def begin(self, to_step: int) -> None:
        """Queue optimiser steps until `step` is `to_step`; on a GPU the host does not wait for them."""
        if self.stream:
            self.stream.wait_stream(torch.cuda.current_stream(self._device))
        self.model.train()
        self._prepare()
        with on(self.stream):
            first, losses = self.step, []
            while self.step < to_step:
                losses.append(self._some_steps(to_step))
            if losses:
                self._unchecked.append((first, torch.isfinite(torch.cat(losses))))
        self.model.eval()

    def check(self, but: int = 0) -> None:
        """Wait for the queued steps, except for those of the last `but` calls of `begin`.

        Raises `Diverged` when the loss at one of these steps is not finite.
        """
        while len(self._unchecked) > but:
            first, flags = self._unchecked.pop(0)
            with on(self.stream):
                finite = flags.tolist()
            if not all(finite):
                step = first + finite.index(False)
                rate = self._hyperparameters.schedule.rate(step)
                raise Diverged(f"the training loss is not finite at step {step}, learning rate {rate:g}")

    def _some_steps(self, to_step: int) -> torch.Tensor:
        """Take steps of one batch size, as many as are staged at a time; return their losses, (steps,)."""
        first = self.step
        self.step = min(first + self._batches.alike(first), to_step, first + self._most)
        taken = range(first, self.step)
        self._batches.stage(taken)
        rates = [self._hyperparameters.schedule.rate(step) for step in taken]
        steps = self._captured[self._batches.size(first)]
        if steps:
            return steps.run(first, rates)
        return torch.stack([self._plain_step(*each) for each in zip(taken, rates, strict=True)])

    def _plain_step(self, step: int, rate: float) -> torch.Tensor:
        self._step.use(rate)
        examples = self._batches.examples(step)
        draws = self._batches.draws(step, len(examples))
        self._batches.seed_dropout(step)
        return self._step.update(examples, draws, self._step.loss)

    def _prepare(self) -> None:
        """Capture the steps of each batch size, unless that is done; the last batch may be smaller.

        The steps after those that are like the next one are of the other size, in this epoch or the next.
        """
        for step in (self.step, self.step + self._batches.alike(self.step)):
            size = self._batches.size(step)
            if size in self._captured:
                continue
            with on(self.stream):
                steps = self._captured[size] = self._capture(step)
            if steps is not None and steps.draws_numbers and self.stream:
                torch.cuda.synchronize(self._device)
                self.stream = _drawing_stream(self._device)

    def _capture(self, step: int) -> CapturedSteps | None:
        """Return captured steps like this one, or None where steps are plain.

        Steps with a smaller last batch are not compiled, which would take longer than it saves.
        """
        makers = {
            Way.COMPILED: lambda: self._captured_with(self._compiled_loss, step),
            Way.CAPTURED: lambda: self._captured_with(lambda: self._step.loss, step),
            Way.PLAIN: lambda: None,
        }
        last = self._batches.size(step) < self._batches.size(0)
        ways = tuple(way for way in self._ways if way != Way.COMPILED) if last else self._ways
        way, steps, problems = first_that_works("training steps", {way: makers[way] for way in ways})
        if not last:
            self.way, self.fallback = Way(way), problems
        return steps

    def _captured_with(self, loss: Callable[[], Loss], step: int) -> CapturedSteps:
        name = self._hyperparameters.optimiser
        if not optimiser_entry(name).captured:
            raise Unfaithful(f"a replay would not repeat what the optimiser {name} does on the host")
        if AUGMENTATIONS.is_own(self._hyperparameters.augment):
            raise Unfaithful("a replay would not draw again what the augmentation draws on the host")
        rate = self._hyperparameters.schedule.rate(self.step)
        self._batches.stage(range(step, step + 1))
        return CapturedSteps(self._step, loss(), self._batches, step, rate)

    def _compiled_loss(self) -> Loss:
        hyperparameters = self._hyperparameters
        known: dict[object, Loss] = vars(self._template).setdefault(_LOSSES, {})
        augment = hyperparameters.augment, canonical(hyperparameters.augment_options)
        key = *augment, hyperparameters.precision, hyperparameters.channels_last
        if key not in known:
            loss = loss_of(stateless(self._template.train()), hyperparameters)
            known[key] = compiled(loss, self._device.type)
        return known[key]


def _windowed(data: Resident, hyperparameters: Hyperparameters) -> tuple[int, Resident, Window | None]:
    """Return the number of training examples, and data of which those of some steps are on the device.

    Of streamed data these are rows of a window of at most `WINDOW` bytes, or of the examples of one step.
    """
    train = data.train
    if isinstance(train, Split):
        return len(train), data, None
    bytes_of_step = hyperparameters.batch_size * data.test.images[0].nbytes
    window = train.window(hyperparameters.batch_size * max(1, min(MOST, WINDOW // bytes_of_step)))
    return len(train), replace(data, train=window.split), window


@lru_cache(maxsize=1)
def _drawing_stream(device: torch.device) -> torch.cuda.Stream | None:
    """Return the stream of all runs whose networks draw random numbers: they share one generator."""
    return new_stream(device)
