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
    images: torch.Tensor, labels: torch.Tensor, size: int, seed: int, skipped: int = 0, smallest: int = 1
) -> Iterator[Batch]:
    """Yield batches of `size` examples without end; the examples are reordered for every pass over them.

    `images` and `labels` have the shapes (examples, ...). The last batch of a pass may be smaller, but has
    at least `smallest` examples or is left out. The first batches are `skipped`, so many of them.
    Raises `ValueError` where no batch is as large as the smallest.
    """
    if min(size, len(labels)) < smallest:
        raise ValueError(f"batch_size {size}, {len(labels)} examples: batches require at least {smallest}")
    for chosen in islice(_places(len(labels), size, seed, smallest), skipped, None):
        chosen = chosen.to(labels.device)
        yield images[chosen], labels[chosen]


def _places(count: int, size: int, seed: int, smallest: int) -> Iterator[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        parts = torch.randperm(count, generator=generator).split(size)
        yield from (part for part in parts if len(part) >= smallest)


def smallest_batch(model: nn.Module) -> int:
    """Return how many examples a batch must have: those of an MLP's batch norms have no variance with one."""
    return 2 if any(isinstance(module, nn.BatchNorm1d) for module in model.modules()) else 1


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
