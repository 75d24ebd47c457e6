"""The permutations by which networks are merged, by the alignment method of a name."""

import copy
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from raysweep.alignment import Alignment, JointAlignment, unit_similarities
from raysweep.choices import valid_choices
from raysweep.registry import check_options, imported, is_own
from raysweep.sweep.method_options import ActivationMatching
from raysweep.sweep.methods import METHODS, OFFERED, able
from raysweep.sweep.problems import explain
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.work.methods import Method, permutations_of
from raysweep.work.offering import offer_of

JOINT = "joint"  # weight matching of any number of networks jointly
PAIR = 2

Options = Mapping[str, Any]


def matched(
    spec: PermutationSpec,
    modules: list[nn.Module],
    images: torch.Tensor,
    labels: torch.Tensor | None,
    method: str,
    options: Options,
    seed: int,
) -> tuple[Permutation, ...]:
    """Return the permutation of each network: two are aligned as a pair, more of them jointly.

    Raises `ValueError` for an unknown method, for one that cannot align so many networks and for options that
    it does not read, `UserError` for those of a user's own function, and `TypeError` for a method that needs
    labels where there are none.
    """
    chosen = _method(method, len(modules), options)
    copies = [copy.deepcopy(module).eval() for module in modules]  # a user's function may write into them
    first = images[: chosen.examples]

    def known_labels() -> torch.Tensor:
        if labels is None:
            raise TypeError(f"labels: alignment method {method!r} needs those of the images")
        return labels[: len(first)]

    offer = offer_of(
        spec,
        [module.state_dict() for module in copies],
        scaled_spec=lambda: spec.with_scalings(copies[0], images[:2]),
        rotated_spec=lambda: spec.with_rotations(copies[0], images[:2]),
        models=lambda: copies,
        images=lambda: first,
        labels=known_labels,
        similarities=lambda: _similarities(copies, first, {} if chosen.own else chosen.options),
    )
    found = chosen(offer, seed)
    if isinstance(found, JointAlignment):
        return found.permutations
    if isinstance(found, Alignment):
        return Permutation.identity(spec.sizes), found.permutation
    return tuple(permutations_of(found, spec, len(modules), method))


def _method(name: str, networks: int, options: Options) -> Method:
    if is_own(name):
        own = METHODS.own_function(name)
        check_options(str(own), "options", own.load(), OFFERED, options)
        return Method(name, own.load(), options, own=True)
    section = "weight_matching" if name == JOINT else name
    entry = METHODS[section]
    path = entry.joint if name == JOINT or networks > PAIR else entry.function
    if path is None:
        raise ValueError(
            f"{name} aligns two networks alone; more of them: {', '.join([JOINT, *able('joint')])}"
        )
    try:
        checked = entry.options.model_validate(dict(options)).model_dump()
    except ValidationError as error:
        raise ValueError("; ".join(explain(error, f"align.{section}."))) from error
    found = Method(name, imported(path), checked, own=False)
    reads = [key for key in checked if key in found.reads()]
    for key in options:
        if key not in reads:
            raise ValueError(
                f"align.{section}.{key}: has no effect on {name} of {networks} networks; "
                f"{valid_choices(key, reads)}"
            )
    return found


def _similarities(modules: list[nn.Module], images: torch.Tensor, given: Options) -> Any:
    """Return the similarities of the units of two networks, or of more by pairs of their positions."""
    options = ActivationMatching(**given)
    pairs = list(combinations(range(len(modules)), 2))
    found = unit_similarities(modules, images, pairs, options.tensor, options.similarity, options.pixels)
    return found[0] if len(modules) == PAIR else dict(zip(pairs, found, strict=True))
