"""The permutations by which networks are merged, by the alignment method of a name."""

import copy
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import torch
from torch import nn

from raysweep.alignment import Alignment, JointAlignment, unit_similarities
from raysweep.registry import imported, is_own
from raysweep.sweep.method_options import ActivationMatching
from raysweep.sweep.methods import METHODS, able
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.work.methods import Method, permutations_of

JOINT = "joint"  # weight matching of any number of networks jointly
PAIR = 2


def matched(
    spec: PermutationSpec,
    modules: list[nn.Module],
    images: torch.Tensor,
    labels: torch.Tensor | None,
    method: str,
    seed: int,
) -> tuple[Permutation, ...]:
    """Return the permutation of each network: two are aligned as a pair, more of them jointly.

    Raises `ValueError` for an unknown method and for one that cannot align so many networks, and `TypeError`
    for one that needs labels where there are none.
    """
    chosen = _method(method, len(modules))
    copies = [copy.deepcopy(module).eval() for module in modules]  # a user's function may write into them
    states = [module.state_dict() for module in copies]
    first = images[: chosen.options.get("examples", ActivationMatching().examples)]

    def known_labels() -> torch.Tensor:
        if labels is None:
            raise TypeError(f"labels: alignment method {method!r} needs those of the images")
        return labels[: len(first)]

    offer: Mapping[str, Callable[[], Any]] = {
        "spec": lambda: spec,
        "scaled_spec": lambda: spec.with_scalings(copies[0], images[:2]),
        "blocks": lambda: spec.blocks,
        "states": lambda: states,
        "networks": lambda: states,
        "target": lambda: states[0],
        "source": lambda: states[-1],
        "models": lambda: copies,
        "images": lambda: first,
        "labels": known_labels,
        "similarities": lambda: _similarities(copies, first),
    }
    found = chosen(offer, seed)
    if isinstance(found, JointAlignment):
        return found.permutations
    if isinstance(found, Alignment):
        return Permutation.identity(spec.sizes), found.permutation
    return tuple(permutations_of(found, spec, len(modules), method))


def _method(name: str, networks: int) -> Method:
    if is_own(name):
        return Method(name, METHODS.own_function(name).load(), {}, own=True)
    entry = METHODS["weight_matching" if name == JOINT else name]
    path = entry.joint if name == JOINT or networks > PAIR else entry.function
    if path is None:
        raise ValueError(
            f"{name} aligns two networks alone; more of them: {', '.join([JOINT, *able('joint')])}"
        )
    return Method(name, imported(path), entry.options().model_dump(), own=False)


def _similarities(modules: list[nn.Module], images: torch.Tensor) -> Any:
    """Return the similarities of the units of two networks, or of more by pairs of their positions."""
    options = ActivationMatching()
    pairs = list(combinations(range(len(modules)), 2))
    found = unit_similarities(modules, images, pairs, options.tensor, options.similarity, options.pixels)
    return found[0] if len(modules) == PAIR else dict(zip(pairs, found, strict=True))
