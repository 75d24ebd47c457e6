"""Relaxed permutations of n networks, trained together on the loss of random mixtures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from raysweep.accelerator.capture import Work, send
from raysweep.accelerator.repeating import repeated
from raysweep.alignment.learned_mixtures import Examples, Mixtures
from raysweep.alignment.progress import Tensors, named, part
from raysweep.alignment.relaxed import apply_relaxed, harden, matrices_of, relaxed
from raysweep.models.given import first_floating
from raysweep.symmetry import Permutation

SINKHORN = 10  # normalisations of rows and columns
EVERY = 25  # steps after which the permutations are hardened; their inputs are on the device before
MEAN, SQUARE, EPSILON = 0.9, 0.999, 1e-8  # Adam's decay of both moments, and what is added to the second


@dataclass(frozen=True)
class Training:
    """The steps that train relaxed permutations; for the meaning of each field see `learned`."""

    steps: int
    batch_size: int
    learning_rate: float
    temperature: float

    def adam(self, step: int) -> tuple[float, float]:
        """Return by what Adam multiplies the first moment in a step, and divides the root of the second.

        Source: Kingma and Ba 2015 (arXiv 1412.6980), algorithm 1.
        """
        rate = self.learning_rate * (1 - step / self.steps)
        return -rate / (1 - MEAN ** (step + 1)), (1 - SQUARE ** (step + 1)) ** 0.5


class Relaxation:
    """Relaxed permutations of all networks but the first, while they are trained; see `learned`.

    Each step has a batch and a point of its own: half-way from one of the points of the mixtures to one that
    is drawn uniformly from the simplex. Mixtures near a single network say nothing about permutations. They
    are drawn on the CPU and sent ahead for `EVERY` steps. On a GPU, which would wait for the processor in
    each step, the steps are replays of a CUDA graph where that gives the same bits.
    """

    def __init__(
        self,
        mixtures: Mixtures,
        start: Sequence[Permutation],
        examples: Examples,
        generator: torch.Generator,
        training: Training,
        found: Mapping[str, torch.Tensor],
    ) -> None:
        """Begin at the permutations `start`, or go on from what `state` of another process returned."""
        self._mixtures, self._examples, self._training = mixtures, examples, training
        self._first, self._generator, self._step = start[0], generator, 0
        like = first_floating(mixtures.states[0])
        self._logits = {
            f"{member}/{group}": (matrix / training.temperature).requires_grad_()
            for member, permutation in enumerate(start[1:], start=1)
            for group, matrix in matrices_of(permutation, like).items()
        }
        self._mean, self._square = (
            {name: torch.zeros_like(each) for name, each in self._logits.items()} for _ in range(2)
        )
        self._batches = torch.zeros(EVERY, training.batch_size, dtype=torch.int64, device=like.device)
        self._points = like.new_zeros(EVERY, len(start))
        self._adam = like.new_zeros(EVERY, 2)
        self._position = torch.zeros(1, dtype=torch.int64, device=like.device)
        if found:
            self._restore(found)

    def state(self) -> Tensors:
        """Return from where another process can go on, on the CPU."""
        scalars = {"step": torch.tensor(self._step), "generator": self._generator.get_state()}
        kinds = {"logits": self._logits, "mean": self._mean, "square": self._square}
        tensors = (named(kind, own) for kind, own in kinds.items())
        return scalars | {name: each.detach().cpu() for own in tensors for name, each in own.items()}

    def run(self) -> Iterator[list[Permutation]]:
        """Take all steps that are left, and yield hardened permutations now and then."""
        take = None
        while self._step < self._training.steps:
            steps = range(self._step, min(self._step + EVERY, self._training.steps))
            self._stage(steps)
            take = take or self._repeating()
            for _ in steps:
                take()
            self._step = steps.stop
            yield [self._first, *(harden(self._mixtures.spec, own) for own in self._members())]

    def _restore(self, found: Mapping[str, torch.Tensor]) -> None:
        self._step = int(found["step"])
        self._generator.set_state(found["generator"])
        with torch.no_grad():
            for kind, own in (("logits", self._logits), ("mean", self._mean), ("square", self._square)):
                for name, tensor in part(found, kind).items():
                    own[name].copy_(tensor)

    def _members(self) -> list[Tensors]:
        """Return the logits of each network from the second on, by group."""
        return [part(self._logits, str(member)) for member in range(1, len(self._mixtures.states))]

    def _stage(self, steps: range) -> None:
        batches, points = [], []
        for step in steps:
            size = (self._training.batch_size,)
            batches.append(torch.randint(len(self._examples), size, generator=self._generator))
            near = self._mixtures.weights[step % len(self._mixtures.weights)]
            points.append((near + _uniform(len(near), self._generator)) / 2)
        send(torch.stack(batches), self._batches)
        send(torch.from_numpy(np.stack(points)).to(self._points.dtype), self._points)
        adam = [self._training.adam(step) for step in steps]
        send(torch.tensor(adam, dtype=self._adam.dtype), self._adam)
        self._position.zero_()

    def _repeating(self) -> Work:
        written = [self._position, *self._logits.values(), *self._mean.values(), *self._square.values()]
        return repeated("the steps of learned permutations", self._work, written, self._position.device)

    @torch.enable_grad()
    def _work(self) -> None:
        """Take the step whose inputs lie at the position, which moves on."""
        mixtures, spec = self._mixtures, self._mixtures.spec
        batch, point, (size, root) = (
            staged.index_select(0, self._position)[0] for staged in (self._batches, self._points, self._adam)
        )
        matrices = [relaxed(spec, own, 1.0, SINKHORN) for own in self._members()]
        others = zip(matrices, mixtures.states[1:], strict=True)
        states = [mixtures.states[0], *(apply_relaxed(spec, own, state) for own, state in others)]
        loss = mixtures.loss_at(states, self._examples.chosen(batch), point)
        found = torch.autograd.grad(loss, list(self._logits.values()), materialize_grads=True)
        with torch.no_grad():
            for (name, logits), gradient in zip(self._logits.items(), found, strict=True):
                mean, square = self._mean[name], self._square[name]
                mean.lerp_(gradient, 1 - MEAN)
                square.mul_(SQUARE).addcmul_(gradient, gradient, value=1 - SQUARE)
                logits.add_(mean * size / (square.sqrt() / root + EPSILON))
            self._position += 1


def _uniform(networks: int, generator: torch.Generator) -> np.ndarray:
    drawn = torch.empty(networks, dtype=torch.float64).exponential_(generator=generator).numpy()
    uniform: np.ndarray = drawn / drawn.sum()
    return uniform
