"""Hybrids: one permutation in some layers and another in the rest.

Source: Sharma et al. 2024 (arXiv 2404.06498), which mixes permutations found early and late in training.
"""

from collections.abc import Collection

from raysweep.symmetry import Permutation, PermutationSpec


def hybrid(first: Permutation, second: Permutation, groups: Collection[str]) -> Permutation:
    """Return the permutation that is `first` in `groups` and `second` in all others.

    Raises `ValueError` for permutations of different groups and for a group that they do not have.
    """
    if first.sizes() != second.sizes():
        raise ValueError("permutations of different groups cannot be mixed")
    unknown = set(groups) - set(first.indices)
    if unknown:
        raise ValueError(f"unknown groups {sorted(unknown)}; valid: {', '.join(first.indices)}")
    return Permutation({g: (first if g in groups else second).indices[g] for g in second.indices})


def bottom_up(spec: PermutationSpec, count: int) -> list[str]:
    """Return the `count` groups nearest the input, in the order of the network.

    Raises `ValueError` unless there are so many.
    """
    return list(spec.sizes)[: _checked(spec, count)]


def top_down(spec: PermutationSpec, count: int) -> list[str]:
    """Return the `count` groups nearest the output, in the order of the network.

    Raises `ValueError` unless there are so many.
    """
    return list(spec.sizes)[len(spec.sizes) - _checked(spec, count) :]


def one_in(spec: PermutationSpec, place: int) -> list[str]:
    """Return only the group at a place, counted from 0 at the input.

    Raises `ValueError` where there is none.
    """
    return [list(spec.sizes)[_checked(spec, place, last=len(spec.sizes) - 1)]]


def one_out(spec: PermutationSpec, place: int) -> list[str]:
    """Return all groups but the one at a place, counted from 0 at the input.

    Raises `ValueError` where there is none.
    """
    left_out = one_in(spec, place)
    return [group for group in spec.sizes if group not in left_out]


def _checked(spec: PermutationSpec, count: int, last: int | None = None) -> int:
    largest = len(spec.sizes) if last is None else last
    if not 0 <= count <= largest:
        raise ValueError(f"{count} is not between 0 and {largest}")
    return count
