"""Merging: networks are aligned, and their mean is one network.

Sources: Ainsworth et al. 2023 (Git Re-Basin, arXiv 2209.04836), Crisostomi et al. 2024 (C2M3, arXiv
2405.17897) for more than two networks, Jordan et al. 2023 (REPAIR, arXiv 2211.08403) for the statistics.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from raysweep.alignment import (
    activation_matching,
    joint_activation_matching,
    joint_matching,
    weight_matching,
)
from raysweep.choices import choose
from raysweep.connectivity import (
    NOTHING,
    Barrier,
    Mending,
    barrier_of,
    has_running_statistics,
    mixed_state,
)
from raysweep.data.given import Images, examples_of, read
from raysweep.data.resident import Split
from raysweep.models.given import Network, modules_of
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.training.evaluation import Risk, evaluate

PAIR = 2


@dataclass(frozen=True)
class Merged:
    """What `merge` returns.

    `model` is the merged network, in evaluation mode, and `permutations` has what was applied to each one.
    `before` and `after` are the barriers between the networks as they were and as they were merged, `risks`
    the risks of the networks and `risk` that of the merged one; they are None where no labels were given.
    """

    model: nn.Module
    permutations: tuple[Permutation, ...]
    before: Barrier | None = None
    after: Barrier | None = None
    risks: tuple[Risk, ...] | None = None
    risk: Risk | None = None


def merge(
    networks: Sequence[Network],
    images: Images,
    labels: torch.Tensor | None = None,
    *,
    test: Images | tuple[torch.Tensor, torch.Tensor] | None = None,
    method: str = "weight_matching",
    repair: bool = False,
    model: nn.Module | None = None,
    seed: int = 0,
) -> Merged:
    """Align two or more networks of one architecture, and return their mean.

    `networks` are modules or state dicts (of which `model` gives the architecture); they are not changed.
    `images` are training examples, a tensor or a loader, on which activations are compared and statistics
    computed. Barriers and risks are measured on `test`, images and labels or a loader of both, or else on the
    training examples where these have labels. `method` is one of `METHODS`: two networks are aligned by
    permuting the second one toward the first, more of them jointly; `joint` aligns two jointly, too. With
    `repair` the running statistics of the mean are computed again where it has any; otherwise its hidden
    units get the mean and the spread that those of the networks have, as part of its weights.

    Raises `ValueError` for an unknown method, for fewer than two networks and for networks that cannot be
    mixed or repaired, `SpecError` for an architecture that is not understood, and `TypeError` for what is no
    network or no example.
    """
    modules = modules_of(networks, model, "networks")
    if len(modules) < PAIR:
        raise ValueError(f"{len(modules)} networks: at least two can be merged")
    measured, training = _splits(images, labels, test)
    spec = PermutationSpec.trace(modules[0], training[:2])
    match = choose("method", method, METHODS)
    permutations = match(spec, modules, training, seed)
    states = [module.state_dict() for module in modules]
    moved = [spec.apply(p, state) for p, state in zip(permutations, states, strict=True)]
    mending = _mending(modules[0], training) if repair else NOTHING
    weights = np.full(len(moved), 1 / len(moved))
    merged = copy.deepcopy(modules[0]).eval()
    merged.load_state_dict(mixed_state(modules[0], moved, weights, mending))
    if measured is None:
        return Merged(merged, permutations)
    before, after = (
        barrier_of(
            modules[0], each, measured.images, measured.labels, recompute=done.recompute, repair=done.repair
        )
        for each, done in ((states, NOTHING), (moved, mending))
    )
    risks = tuple(evaluate(copy.deepcopy(module).eval(), measured) for module in modules)
    return Merged(merged, permutations, before, after, risks, evaluate(merged, measured))


Found = tuple[Permutation, ...]  # by network


def _by_weights(spec: PermutationSpec, modules: list[nn.Module], _: torch.Tensor, seed: int) -> Found:
    if len(modules) > PAIR:
        return _jointly(spec, modules, _, seed)
    return Permutation.identity(spec.sizes), weight_matching(spec, modules[0], modules[1], seed).permutation


def _jointly(spec: PermutationSpec, modules: list[nn.Module], _: torch.Tensor, seed: int) -> Found:
    return joint_matching(spec, modules, seed).permutations


def _by_activations(spec: PermutationSpec, modules: list[nn.Module], images: torch.Tensor, _: int) -> Found:
    if len(modules) > PAIR:
        return joint_activation_matching(modules, images).permutations
    return Permutation.identity(spec.sizes), activation_matching(modules[0], modules[1], images).permutation


METHODS: dict[str, Callable[[PermutationSpec, list[nn.Module], torch.Tensor, int], Found]] = {
    "weight_matching": _by_weights,
    "activation_matching": _by_activations,
    "joint": _jointly,
}


def _splits(
    images: Images, labels: torch.Tensor | None, test: Images | tuple[torch.Tensor, torch.Tensor] | None
) -> tuple[Split | None, torch.Tensor]:
    """Return the examples on which risks are measured, where any have labels, and the training images."""
    training, known = read(images, labels)
    if test is not None:
        given = test if isinstance(test, tuple) else (test, None)
        return examples_of(*given), training
    return None if known is None else examples_of(training, known), training


def _mending(model: nn.Module, images: torch.Tensor) -> Mending:
    return Mending(recompute=images) if has_running_statistics(model) else Mending(repair=images)
