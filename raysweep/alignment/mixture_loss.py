"""The loss of mixtures of networks on batches of training examples, for methods that learn permutations."""

import copy
from collections.abc import Iterator, Mapping
from itertools import islice

import torch
from torch import nn
from torch.func import functional_call, replace_all_batch_norm_modules_
from torch.nn.functional import cross_entropy

Batch = tuple[torch.Tensor, torch.Tensor]


def batches(
    images: torch.Tensor, labels: torch.Tensor, size: int, seed: int, skipped: int = 0
) -> Iterator[Batch]:
    """Yield batches of `size` examples without end; the examples are reordered for every pass over them.

    `images` has the shape (examples, ...) and `labels` (examples,). The last batch of a pass may be smaller.
    The first batches are `skipped`, so many of them. Raises `ValueError` for a size below 1.
    """
    if size < 1:
        raise ValueError(f"batch_size must be at least 1, not {size}")
    for chosen in islice(_places(len(labels), size, seed), skipped, None):
        chosen = chosen.to(labels.device)
        yield images[chosen], labels[chosen]


def _places(count: int, size: int, seed: int) -> Iterator[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from torch.randperm(count, generator=generator).split(size)


def for_mixtures(model: nn.Module) -> nn.Module:
    """Return a copy of a module for `mixture_loss`, in evaluation mode.

    Its batch norms use the statistics of the batch, as those of a mixture are with recomputed statistics
    (Jordan et al. 2023, REPAIR, arXiv 2211.08403).
    """
    network = copy.deepcopy(model).eval().requires_grad_(False)
    found: nn.Module = replace_all_batch_norm_modules_(network)
    return found


def mixture_loss(model: nn.Module, state: Mapping[str, torch.Tensor], batch: Batch) -> torch.Tensor:
    """Return the mean cross-entropy of a network (see `for_mixtures`) with this state on a batch."""
    images, labels = batch
    read = {name: state[name] for name in model.state_dict()}
    logits = functional_call(model, read, (images,), tie_weights=False)
    return cross_entropy(logits.flatten(0, -2), labels.flatten())
