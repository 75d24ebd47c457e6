"""The risk of a network on a split."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from raysweep.data.resident import Split

CHUNK = 1000  # examples per forward pass; it decides the bits of a result, so it is not an option


@dataclass(frozen=True)
class Risk:
    """Mean cross-entropy (nats) and 0-1 error (a share) over a split."""

    loss: float
    error: float


@torch.no_grad()
def evaluate(model: nn.Module, split: Split) -> Risk:
    """Evaluate a module that is in evaluation mode; sums are accumulated in float64."""
    loss = torch.zeros((), dtype=torch.float64, device=split.images.device)
    wrong = torch.zeros((), dtype=torch.int64, device=split.images.device)
    for images, labels in zip(split.images.split(CHUNK), split.labels.split(CHUNK), strict=True):
        logits = model(images)
        loss += functional.cross_entropy(logits, labels, reduction="sum").double()
        wrong += (logits.argmax(dim=1) != labels).sum()
    return Risk(loss=loss.item() / len(split), error=wrong.item() / len(split))
