"""The permutations that moves stand for, from the rows that the alignment workers committed."""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch

from raysweep.alignment.hybrids import hybrid
from raysweep.plan.applied_permutations import AppliedPermutation, Hybrid, Move, Path
from raysweep.symmetry import Permutation

RowOf = Callable[[str], Mapping[str, Any]]  # the committed row of an alignment, by its id


def permutation_of(moved: AppliedPermutation, row_of: RowOf) -> Permutation:
    """Return the permutation of a move."""
    match moved:
        case Move():
            return _found(moved, row_of(moved.alignment_id))
        case Path():
            steps = [permutation_of(move, row_of) for move in moved.moves]
            return reduce(lambda before, step: step.compose(before), steps)
        case Hybrid():
            return hybrid(
                permutation_of(moved.first, row_of), permutation_of(moved.second, row_of), moved.groups
            )
        case _:
            raise TypeError(f"unknown kind of move {moved!r}")


def _found(move: Move, row: Mapping[str, Any]) -> Permutation:
    prefix = "" if move.member is None else member_prefix(move.member)
    permutation = Permutation(
        {
            group.removeprefix(prefix): torch.as_tensor(units, dtype=torch.int64)
            for group, units in zip(row["groups"], row["permutations"], strict=True)
            if group.startswith(prefix)
        }
    )
    return permutation.inverse() if move.inverse else permutation


def member_prefix(member: int) -> str:
    """What stands before the groups of one network in the row of a joint alignment."""
    return f"{member}/"
