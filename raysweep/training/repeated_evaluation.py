"""A network that is evaluated again and again, under other weights in the same tensors.

On a GPU the evaluation of the whole split is recorded in a CUDA graph and replayed with one launch; compiled
code is shared by all networks of an architecture.
"""

import copy
import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from raysweep.accelerator.capture import Captured, Work
from raysweep.accelerator.compiling import compiled, first_that_works
from raysweep.data.resident import Split, unwritten
from raysweep.models.precision import FLOAT32, Numerics, computing_in
from raysweep.training.answer_sizes import answer_bytes
from raysweep.training.evaluation import Risk, evaluate, of_each
from raysweep.vocabulary import Way

# Bytes of a layer's output in a forward pass: few large calls suit a GPU, and a processor has caches to fill.
ROOM = {"cuda": 2**28, "cpu": 2**23}
PROBES = 2  # examples on which the outputs of layers are measured
# How closely two ways of evaluating a network agree, relative to the loss and in nats. Rounding alone stays
# far below; a kernel that is wrong, or reads weights that are no longer there, does not.
AGREE = {"float32": 1e-3, "tf32": 1e-2, "bfloat16": 3e-2}

State = dict[str, torch.Tensor]

_LOG = logging.getLogger("raysweep")
_COMPILED: dict[Hashable, Callable[..., torch.Tensor]] = {}


class Evaluation:
    """The risk of a module on a split, as often as it is asked for.

    The module must be in evaluation mode, also when this is made. Its parameters, its buffers and the images
    must stay where they are in memory; their values may change in between. `totals`, float64 (2,), receives
    the summed cross-entropy (nats) and the number of wrong answers.

    `way` is the first of `numerics.ways` that works; why the earlier ones do not is logged. Modules that are
    made with an equal `architecture` share compiled code, so these must compute the same function of their
    state.
    """

    def __init__(
        self,
        model: nn.Module,
        split: Split,
        numerics: Numerics = FLOAT32,
        architecture: Hashable | None = None,
    ) -> None:
        """Prepare the evaluation, which compiles and captures it. Raises `ImagesWritten`; see `evaluate`."""
        self._model, self._split, self._precision = model, split, numerics.precision
        device, chunks = split.images.device, _chunks(split, _examples(model, split))
        self.totals = torch.zeros(2, dtype=torch.float64, device=device)
        summing = partial(_summing, self.totals, chunks, numerics.precision)
        self._plain = plain = summing(lambda chunk: _of_chunk(model(chunk.images), chunk))
        makers: dict[Way, Callable[[], Work]] = {
            Way.COMPILED: lambda: Captured(summing(_compiled(model, architecture, device)), device),
            Way.CAPTURED: lambda: Captured(plain, device),
            Way.PLAIN: lambda: plain,
        }
        self._name = f"evaluation of {type(model).__name__}"
        way, self._run, _ = first_that_works(self._name, {way: makers[way] for way in numerics.ways})
        self.way, self._trusted = Way(way), way == Way.PLAIN

    def start(self) -> None:
        """Enqueue the evaluation on the current stream, without waiting for it.

        The first call waits. Where its result cannot be repeated bit for bit, or differs from that of a plain
        evaluation by more than rounding, evaluations are plain from then on.
        """
        self._run()
        if not self._trusted:
            self._trusted = True
            problem = self._problem()
            if problem:
                _LOG.warning("%s: not %s (%s)", self._name, self.way, problem)
                self.way, self._run = Way.PLAIN, self._plain
                self._run()

    def risk(self) -> Risk:
        """Wait for what was started last and return it."""
        return self.risks(self.totals[None])[0]

    def risks(self, totals: torch.Tensor) -> list[Risk]:
        """Wait for the device and return the risks that belong to copies of `totals`, shape (n, 2)."""
        labels = self._split.labels.numel()
        return [Risk(loss / labels, wrong / labels) for loss, wrong in totals.cpu().tolist()]

    def _problem(self) -> str:
        first = self.totals.clone()
        self._run()
        if not torch.equal(first.view(torch.int64), self.totals.view(torch.int64)):  # NaN equals NaN
            return "repeating it gives other bits"
        with computing_in(self._precision, self.totals.device):
            plain = evaluate(self._model, self._split).loss
        loss, close = self.risk().loss, AGREE[self._precision]
        agrees = np.isclose(loss, plain, rtol=close, atol=close, equal_nan=True)
        return "" if agrees else f"its loss is {loss:g}, not {plain:g}"


@dataclass(frozen=True)
class _Chunk:
    """Images, their labels, and which of these count: a last chunk overlaps the one before it."""

    images: torch.Tensor
    labels: torch.Tensor
    counted: torch.Tensor


def _chunks(split: Split, examples: int) -> list[_Chunk]:
    """Cut a split into chunks of one size, at most `examples`: another size would be compiled again."""
    number = -(-len(split) // examples)
    size = -(-len(split) // number)
    everything = torch.ones_like(split.labels[:size], dtype=torch.bool)
    chunks = []
    for first in range(0, len(split), size):
        start = min(first, len(split) - size)
        counted = everything.clone()
        counted[: first - start] = False
        part = slice(start, start + size)
        chunks.append(_Chunk(split.images[part], split.labels[part], counted.flatten()))
    return chunks


def _examples(model: nn.Module, split: Split) -> int:
    largest = max(answer_bytes(model, split.images[:PROBES]).values())
    return max(1, min(len(split), ROOM[split.images.device.type] // largest))


def _summing(
    totals: torch.Tensor, chunks: list[_Chunk], precision: str, of_chunk: Callable[[_Chunk], torch.Tensor]
) -> Work:
    """Return the work that evaluates all chunks and writes `totals`.

    It does not refer to the `Evaluation`, so that a graph is freed together with its last user.
    """

    @torch.no_grad()
    def work() -> None:
        found = []
        with computing_in(precision, totals.device):
            for chunk in chunks:
                with unwritten(chunk.images):
                    found.append(of_chunk(chunk))
        torch.sum(torch.stack(found), dim=0, out=totals)

    return work


def _of_chunk(logits: torch.Tensor, chunk: _Chunk) -> torch.Tensor:
    losses, wrong = of_each(logits, chunk.labels)
    loss = torch.where(chunk.counted, losses, 0).sum(dtype=torch.float64)
    return torch.stack([loss, (wrong & chunk.counted).sum().double()])


def _compiled(
    model: nn.Module, architecture: Hashable | None, device: torch.device
) -> Callable[[_Chunk], torch.Tensor]:
    """Return the compiled function of a chunk. Raises `RuntimeError` where nothing can be compiled."""
    # Tied weights are given under all their names: the compiler does not know that they are tied.
    parameters, buffers = (
        named(remove_duplicate=False) for named in (model.named_parameters, model.named_buffers)
    )
    tensors = {name: tensor.detach() for name, tensor in (*parameters, *buffers)}
    function = _COMPILED.get(architecture) or _compiled_sums(model, device)
    if architecture is not None:
        _COMPILED[architecture] = function
    return lambda chunk: function(tensors, chunk.images, chunk.labels, chunk.counted)


def _compiled_sums(model: nn.Module, device: torch.device) -> Callable[..., torch.Tensor]:
    """Return the compiled function of a state and a chunk that serves all networks like the model."""
    template = copy.deepcopy(model).eval().to("meta")  # its own weights are never read

    def of_state(
        state: State, images: torch.Tensor, labels: torch.Tensor, counted: torch.Tensor
    ) -> torch.Tensor:
        logits = functional_call(template, state, (images,))
        return _of_chunk(logits, _Chunk(images, labels, counted))

    return compiled(of_state, device.type)
