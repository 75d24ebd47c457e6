"""Hybrids: one permutation in some layer groups and another in the rest.

Source: Sharma et al. 2024 (arXiv 2404.06498), which mixes permutations found early and late in training.
"""

from collections.abc import Collection

from raysweep.symmetry import Permutation
from raysweep.symmetry.permutation import check_permutation


def hybrid(first: Permutation, second: Permutation, groups: Collection[str]) -> Permutation:
    """Return the permutation that is `first` in `groups` and `second` in all others.

    Groups whose blocks move alike belong together: `PermutationSpec.apply` refuses what tears them apart.
    Raises `ValueError` for permutations of different groups and for a group that they do not have.
    """
    for each in (first, second):
        check_permutation(each)
    if first.sizes() != second.sizes():
        raise ValueError("permutations of different groups cannot be mixed")
    unknown = set(groups) - set(first.indices)
    if unknown:
        raise ValueError(f"unknown groups {sorted(unknown)}; valid: {', '.join(first.indices)}")
    chosen = {group: first if group in groups else second for group in second.indices}
    factors = {g: each.factors[g] for g, each in chosen.items() if g in each.factors}
    rotations = {g: each.rotations[g] for g, each in chosen.items() if g in each.rotations}
    return Permutation({g: each.indices[g] for g, each in chosen.items()}, factors, rotations)
