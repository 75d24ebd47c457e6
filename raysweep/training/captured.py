"""Optimiser steps whose inputs lie on the device, so that a GPU takes them without waiting for the host."""

import random

import numpy as np
import torch

from raysweep.accelerator.capture import Captured, Snapshot, send
from raysweep.training.batches import Batches
from raysweep.training.step import Loss, Step

MOST = 50  # steps whose inputs are staged on the device at a time
# The largest relative difference of a captured gradient from a plain one; wrong ones differ by far more.
AGREE = 0.25


class Unfaithful(RuntimeError):
    """Captured steps do not repeat themselves bit for bit, or do not compute what plain steps compute."""


class CapturedSteps:
    """Steps of one batch size: the inputs of up to `MOST` steps are staged, and then each step is a replay.

    Steps run on the current stream. Where `draws_numbers`, the network draws random numbers on the device, as
    dropout does; all such networks of a process must share a stream, because they share a generator.
    """

    def __init__(self, step: Step, loss: Loss, batches: Batches, first: int, rate: float) -> None:
        """Record a step like step `first`, with this `loss`; the weights stay as they are.

        Two replays must agree bit for bit, and their gradients with plain ones up to rounding. Raises
        `Unfaithful` where they do not, and otherwise what prevents a capture.
        """
        examples = batches.examples(first)
        draws = batches.draws(first, len(examples)).to(examples.device)
        self._step, self._loss, self._batches = step, loss, batches
        self._examples = examples.repeat(MOST, 1)
        self._draws = draws.repeat(MOST, 1, 1)
        self._rates = torch.full((MOST,), rate, device=examples.device)
        self._losses = torch.zeros_like(self._rates)
        self._position = torch.zeros(1, dtype=torch.int64, device=examples.device)
        self._rate = torch.zeros((), device=examples.device)
        before = Snapshot(step.tensors())
        known = set(map(id, step.tensors()))
        try:
            plain = self._plain_gradient(first)
            before.restore()
            self._replay = Captured(self._work, examples.device)
            self._restore(before, known)
            self._check(plain, first)
        finally:
            self._restore(before, known)

    def _restore(self, before: Snapshot, known: set[int]) -> None:
        """Undo steps; what they have added to the state of the optimiser starts from zero."""
        before.restore()
        for tensor in self._step.tensors():
            if id(tensor) not in known:
                tensor.zero_()

    def run(self, first: int, rates: list[float]) -> torch.Tensor:
        """Take at most `MOST` steps from `first` on, with these learning rates.

        Return their losses, (steps,); nothing waits for the device.
        """
        self._stage(first, rates)
        for step in range(first, first + len(rates)):
            if self.draws_numbers:
                self._batches.seed_dropout(step)
            self._replay()
        return self._losses[: len(rates)].clone()

    def _stage(self, first: int, rates: list[float]) -> None:
        steps = range(first, first + len(rates))
        self._examples[: len(rates)] = torch.stack([self._batches.examples(step) for step in steps])
        if self._draws.numel():
            drawn = [self._batches.draws(step, self._examples.shape[1]) for step in steps]
            send(torch.stack(drawn), self._draws)
        send(torch.tensor(rates), self._rates)
        self._position.zero_()

    def _work(self) -> None:
        """Take one step, with the inputs at the position, which moves on."""
        self._step.use(self._rate)
        self._rate.copy_(self._rates.index_select(0, self._position)[0])
        examples = self._examples.index_select(0, self._position)[0]
        draws = self._draws.index_select(0, self._position)[0]
        loss = self._step.update(examples, draws, self._loss)
        self._losses.index_copy_(0, self._position, loss.float()[None])
        self._position += 1

    def _plain_gradient(self, first: int) -> list[torch.Tensor]:
        """Return a plain gradient of the batch, and find out from which generators the network draws."""
        self._batches.seed_dropout(first)
        device = self._examples.device
        host, own = _host_generators(device), _generator_state(device)
        self._step.gradients(self._examples[0], self._draws[0], self._step.loss)
        if _host_generators(device) != host:
            raise Unfaithful(
                "the network draws random numbers on the CPU, which a replay would not draw again"
            )
        self.draws_numbers = not torch.equal(_generator_state(device), own)
        return [gradient.clone() for gradient in self._step.model_gradients()]

    def _check(self, plain: list[torch.Tensor], first: int) -> None:
        before, taken = Snapshot(self._step.tensors()), []
        for _ in range(2):
            before.restore()
            self._position.zero_()
            self._batches.seed_dropout(first)
            self._replay()
            taken.append(Snapshot([*self._step.tensors(), *self._step.model_gradients()]))
        if not taken[0].equals(taken[1]):
            raise Unfaithful("two replays of one step give different bits")
        if not self.draws_numbers and not _agree(plain, self._step.model_gradients()):
            raise Unfaithful("its gradient is not that of a plain step")


def _agree(plain: list[torch.Tensor], captured: list[torch.Tensor]) -> bool:
    if len(plain) != len(captured):
        return False
    if not plain:
        return True
    norms = [
        torch.stack(torch._foreach_norm(each)).norm() for each in (plain, torch._foreach_sub(plain, captured))
    ]
    length, difference = torch.stack(norms).tolist()
    return bool(difference <= AGREE * length) or not np.isfinite(length)


def _generator_state(device: torch.device) -> torch.Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _host_generators(device: torch.device) -> tuple[object, ...]:
    """Return the states of the generators of the host that are not the device's own."""
    own = torch.get_rng_state().numpy().tobytes() if device.type == "cuda" else b""
    return random.getstate(), repr(np.random.get_state(legacy=False)), own
