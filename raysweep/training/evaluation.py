"""The risk of a network on a split."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from raysweep.data.resident import Split, unwritten

CHUNK = 1000  # examples per forward pass; not an option, because it affects the last bits of a result


@dataclass(frozen=True)
class Risk:
    """Mean cross-entropy in nats, and the share of wrong answers, over the labels of a split."""

    loss: float
    error: float


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, keep: Callable[[int, torch.Tensor], None] | None = None) -> Risk:
    """Evaluate a module that is already in evaluation mode, with sums in float64.

    `keep`, if given, gets the number of the first example of each forward pass, and the logits. Raises
    `ImagesWritten` for a module that writes into its input.
    """
    loss = torch.zeros((), dtype=torch.float64, device=split.images.device)
    wrong = torch.zeros((), dtype=torch.int64, device=split.images.device)
    chunks = torch.split(split.images, CHUNK), torch.split(split.labels, CHUNK)
    for number, (images, labels) in enumerate(zip(*chunks, strict=True)):
        with unwritten(images):
            logits = model(images)
        if keep:
            keep(number * CHUNK, logits)
        more_loss, more_wrong = sums(logits, labels)
        loss += more_loss
        wrong += more_wrong
    return Risk(loss=loss.item() / split.labels.numel(), error=wrong.item() / split.labels.numel())


def sums(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the summed cross-entropy (nats, float64) and the number of wrong answers (int64), both scalars.

    `logits` has the shape (examples, classes) and `labels` (examples,); those of sequences have a second axis
    of tokens, of which each counts like an example.
    """
    losses, wrong = of_each(logits, labels)
    return losses.sum(dtype=torch.float64), wrong.sum()


def of_each(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each label's cross-entropy (nats) and whether its answer is wrong, both (labels,).

    `logits` has the shape (..., classes) and `labels` (...).

    Logits of 16 bits are converted to float32 first. The cross-entropy is logsumexp minus the label's logit.
    It shares the search for the largest logit with the answer, and so takes on a CPU a sixth of the time of
    `functional.cross_entropy` and `argmax`, which matters for small networks. Among equal logits the first
    one is the answer, as with `argmax`.
    """
    logits, labels = logits.flatten(0, -2), labels.flatten()
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    largest, answers = logits.max(dim=1)
    of_label = logits.gather(1, labels[:, None]).squeeze(1)
    losses = (logits - largest[:, None]).exp_().sum(dim=1).log_() + (largest - of_label)
    return losses, answers != labels
