"""Hybrids: one permutation in some layers and another in the rest.

A layer is a group of hidden units, or the groups whose blocks move alike.

Source: Sharma et al. 2024 (arXiv 2404.06498), which mixes permutations found early and late in training.
"""

from collections.abc import Collection

from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.symmetry.blocks import together


def hybrid(first: Permutation, second: Permutation, groups: Collection[str]) -> Permutation:
    """Return the permutation that is `first` in `groups` and `second` in all others.

    Groups whose blocks move alike belong together: `PermutationSpec.apply` refuses what tears them apart.
    Raises `ValueError` for permutations of different groups and for a group that they do not have.
    """
    if first.sizes() != second.sizes():
        raise ValueError("permutations of different groups cannot be mixed")
    unknown = set(groups) - set(first.indices)
    if unknown:
        raise ValueError(f"unknown groups {sorted(unknown)}; valid: {', '.join(first.indices)}")
    return Permutation({g: (first if g in groups else second).indices[g] for g in second.indices})


def bottom_up(spec: PermutationSpec, count: int) -> list[str]:
    """Return the groups of the `count` layers nearest the input, in the order of the network.

    Raises `ValueError` unless there are so many.
    """
    layers = _layers(spec)
    return _groups(layers[: _checked(count, len(layers))])


def top_down(spec: PermutationSpec, count: int) -> list[str]:
    """Return the groups of the `count` layers nearest the output, in the order of the network.

    Raises `ValueError` unless there are so many.
    """
    layers = _layers(spec)
    return _groups(layers[len(layers) - _checked(count, len(layers)) :])


def one_in(spec: PermutationSpec, place: int) -> list[str]:
    """Return only the groups of the layer at a place, counted from 0 at the input.

    Raises `ValueError` where there is none.
    """
    layers = _layers(spec)
    return list(layers[_checked(place, len(layers) - 1)])


def one_out(spec: PermutationSpec, place: int) -> list[str]:
    """Return all groups but those of the layer at a place, counted from 0 at the input.

    Raises `ValueError` where there is none.
    """
    left_out = one_in(spec, place)
    return [group for group in spec.sizes if group not in left_out]


def _layers(spec: PermutationSpec) -> tuple[tuple[str, ...], ...]:
    return together(spec.sizes, spec.blocks)


def _groups(layers: tuple[tuple[str, ...], ...]) -> list[str]:
    return [group for layer in layers for group in layer]


def _checked(count: int, largest: int) -> int:
    if not 0 <= count <= largest:
        raise ValueError(f"{count} is not between 0 and {largest}")
    return count
