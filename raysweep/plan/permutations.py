"""The permutations that a plan applies, read from the rows that the alignment workers committed."""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any

import torch

from raysweep.alignment.hybrids import hybrid
from raysweep.plan.applied_permutations import (
    AppliedPermutation,
    ComposedPermutation,
    FoundPermutation,
    HybridPermutation,
)
from raysweep.store.files import CorruptObject
from raysweep.store.inputs import named_input, permutation_digest
from raysweep.store.memory_cache import Cache
from raysweep.store.results import ResultStore
from raysweep.symmetry import Permutation

COLUMNS = ["alignment_id", "groups", "permutations", "factors", "rotations"]

KEPT_BYTES = 2**26  # of committed objects, in a process that works with few of them at a time

RowOf = Callable[[str], Mapping[str, Any]]  # the committed row of an alignment, by its id


class CommittedPermutations:
    """Reads the permutations of committed alignments and keeps the objects that were read last.

    `limit` is the number of bytes that the kept objects may fill.
    """

    def __init__(self, results: ResultStore, limit: int) -> None:
        self._results, self._kept = results, Cache(limit)
        self._merged: dict[str, str] = {}  # objects that are gone, and those that have their rows now

    def read(self, applied: AppliedPermutation, objects: Mapping[str, str]) -> Permutation:
        """Return a permutation; `objects` names the object in which each alignment lies.

        Raises `KeyError` for an alignment without an object and `CorruptObject` for a damaged object.
        """
        return permutation_of(applied, lambda alignment_id: self.row(alignment_id, objects[alignment_id]))

    def inputs(self, alignments: Iterable[str], objects: Mapping[str, str]) -> list[str]:
        """Return what these alignments found, by id and digest. Raises like `read`."""
        return [named_input(each, permutation_digest(self.row(each, objects[each]))) for each in alignments]

    def row(self, alignment_id: str, name: str) -> dict[str, Any]:
        """Return the columns of an alignment that say what it found, from the object of this name.

        Raises `CorruptObject` for a damaged object.
        """
        name = self._merged.get(name, name)
        kept = self._kept.get(name)
        if kept is None:
            try:
                rows = self._results.read(name, COLUMNS)
            except FileNotFoundError:  # it has been merged with others
                found = self._results.index("alignments").last([alignment_id])
                if alignment_id not in found:
                    raise CorruptObject(f"{name}: is missing") from None
                self._merged[name] = found[alignment_id]
                return self.row(alignment_id, found[alignment_id])
            kept = rows, {each: at for at, each in enumerate(rows.column("alignment_id").to_pylist())}
            self._kept.put(name, kept, rows.nbytes)
        rows, positions = kept
        (row,) = rows.slice(positions[alignment_id], 1).to_pylist()
        return dict(row)


def permutation_of(applied: AppliedPermutation, row_of: RowOf) -> Permutation:
    """Return the permutation that is applied, from the rows of the alignments that it is made of."""
    match applied:
        case FoundPermutation():
            return _found(applied, row_of(applied.alignment_id))
        case ComposedPermutation():
            steps = [permutation_of(step, row_of) for step in applied.steps]
            return reduce(lambda before, step: step.compose(before), steps)
        case HybridPermutation():
            return hybrid(
                permutation_of(applied.first, row_of), permutation_of(applied.second, row_of), applied.groups
            )
        case _:
            raise TypeError(f"unknown kind of applied permutation {applied!r}")


def _found(found: FoundPermutation, row: Mapping[str, Any]) -> Permutation:
    prefix = "" if found.member is None else member_prefix(found.member)
    permutation = Permutation(
        {
            group.removeprefix(prefix): torch.as_tensor(units, dtype=torch.int64)
            for group, units in zip(row["groups"], row["permutations"], strict=True)
            if group.startswith(prefix)
        },
        {
            group: torch.as_tensor(factors, dtype=torch.float64)
            for group, factors in zip(row["groups"], row.get("factors") or (), strict=False)
            if factors
        },
        {
            group: _matrices(numbers, units)
            for group, units, numbers in zip(
                row["groups"], row["permutations"], row.get("rotations") or (), strict=False
            )
            if numbers
        },
    )
    return permutation.inverse() if found.inverse else permutation


def _matrices(numbers: list[float], units: list[int]) -> torch.Tensor:
    """Return the rotations of a group of so many units, of which each block has a square matrix."""
    size = len(numbers) // len(units)
    return torch.as_tensor(numbers, dtype=torch.float64).view(-1, size, size)


def member_prefix(member: int) -> str:
    """Return what precedes the layer groups of one network in the row of a joint alignment."""
    return f"{member}/"
