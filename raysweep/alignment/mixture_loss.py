"""The loss of mixtures of networks on batches of training examples, for methods that learn permutations."""

from collections.abc import Iterator, Mapping

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

Batch = tuple[torch.Tensor, torch.Tensor]


def batches(images: torch.Tensor, labels: torch.Tensor, size: int, seed: int) -> Iterator[Batch]:
    """Yield batches of `size` examples without end; the examples are reordered for every pass over them.

    `images` has the shape (examples, ...) and `labels` (examples,). The last batch of a pass may be smaller.
    """
    generator = torch.Generator().manual_seed(seed)
    while True:
        for chosen in torch.randperm(len(labels), generator=generator).split(size):
            chosen = chosen.to(labels.device)
            yield images[chosen], labels[chosen]


def mixture_loss(model: nn.Module, state: Mapping[str, torch.Tensor], batch: Batch) -> torch.Tensor:
    """Return the mean cross-entropy of a network with this state on a batch.

    The network should be in evaluation mode: running statistics are then mixed like weights, as they are
    where barriers are measured.
    """
    images, labels = batch
    return cross_entropy(functional_call(model, dict(state), (images,)), labels)
