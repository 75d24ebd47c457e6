"""Merging: networks are aligned, and their mean is one network.

Sources: Ainsworth et al. 2023 (Git Re-Basin, arXiv 2209.04836), Crisostomi et al. 2024 (C2M3, arXiv
2405.17897) for more than two networks, Jordan et al. 2023 (REPAIR, arXiv 2211.08403) for the statistics.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import nn

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
from raysweep.merging.matching import PAIR, matched
from raysweep.models.given import Network, modules_of
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.training.answering import check_answers
from raysweep.training.evaluation import Risk, evaluate

TYPES = {"method": str, "options": Mapping, "repair": bool, "seed": Integral}  # of arguments of `merge`


@dataclass(frozen=True)
class Merged:
    """What `merge` returns.

    `model` is the merged network, in evaluation mode, and `permutations` has what was applied to each one.
    `before` and `after` are the barriers between the networks as they were and as they were merged, `risks`
    the risks of the networks and `risk` that of the merged one; they are None where no labels were given.
    With `repair`, `after` is the excess over networks whose running statistics are computed again, too.
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
    options: Mapping[str, Any] | None = None,
    repair: bool = False,
    model: nn.Module | None = None,
    seed: int = 0,
) -> Merged:
    """Align two or more networks of one architecture, and return their mean.

    `networks` are modules or state dicts (of which `model` gives the architecture); they are not changed.
    `images` are training examples, a tensor or a loader, on which activations are compared and statistics
    computed. Barriers and risks are measured on `test`, images and labels or a loader of both, or else on the
    training examples where these have labels. `method` is one of `align.methods` of a sweep file: two
    networks are aligned by permuting the second one toward the first, more of them jointly. `joint` is weight
    matching that aligns two jointly, too. `options` are those of the method, with the names and defaults that
    they have in a sweep file (`align.METHOD.NAME`), or further arguments of your own function. With
    `repair` the running statistics of the mean are computed again where it has any; otherwise its hidden
    units get the mean and the spread that those of the networks have, as part of its weights. Either leaves
    out images that do not fill a last chunk of 1000, unless there are fewer.

    Raises `ValueError` for an unknown method or option, for fewer than two networks and for networks that
    cannot be mixed or repaired, `SpecError` for an architecture that is not understood, `UserError` for what
    a function of your own does not take, and `TypeError` for what is no network or no example.
    """
    _check_types({"method": method, "options": options or {}, "repair": repair, "seed": seed})
    modules = modules_of(networks, model, "networks")
    if len(modules) < PAIR:
        raise ValueError(f"{len(modules)} networks: at least two can be merged")
    examples, training = _training(images, labels)
    measured = training if test is None else _test(test)
    check_answers(modules[0], examples)
    if measured:
        check_answers(modules[0], measured.images, measured.labels)
    spec = PermutationSpec.trace(modules[0], examples[:2])
    known = None if training is None else training.labels
    permutations = matched(spec, modules, examples, known, method, options or {}, seed)
    states = [module.state_dict() for module in modules]
    if any(permutation.factors for permutation in permutations):
        spec = spec.with_scalings(modules[0], examples[:2])
    rotated = {group for permutation in permutations for group in permutation.rotations}
    if rotated:
        spec = spec.with_rotations(modules[0], examples[:2])
    folded = [spec.folded(state, rotated) for state in states]
    moved = [spec.apply(p, state) for p, state in zip(permutations, folded, strict=True)]
    mending = _mending(modules[0], examples) if repair else NOTHING
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


def _training(images: Images, labels: torch.Tensor | None) -> tuple[torch.Tensor, Split | None]:
    """Return the training images, and these with their labels where there are any."""
    found, known = read(images, labels)
    return found, None if known is None else examples_of(found, known)


def _test(test: Images | tuple[torch.Tensor, torch.Tensor]) -> Split:
    pair = isinstance(test, tuple) and len(test) == len(("images", "labels"))
    return examples_of(*test) if pair else examples_of(test, None)


def _check_types(given: Mapping[str, object]) -> None:
    for name, value in given.items():
        if not isinstance(value, TYPES[name]):
            expected, kind = TYPES[name].__name__, type(value).__name__
            raise TypeError(f"{name}: expected a value of type {expected}, not {kind}")


def _mending(model: nn.Module, images: torch.Tensor) -> Mending:
    return Mending(recompute=images) if has_running_statistics(model) else Mending(repair=images)
