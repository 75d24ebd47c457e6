"""Comparing two permutations, found among the committed alignments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raysweep.plan.applied_permutations import AppliedPermutation
from raysweep.plan.identity import AgreementJob
from raysweep.store.results import ResultStore

KEPT = 1000  # objects of alignments that are kept in memory


@dataclass(frozen=True)
class Agreement:
    """The share of all hidden units on which two permutations agree, and the same by group."""

    share: float
    groups: dict[str, float]


class Agreements:
    """Reads permutations as they are needed; `places` are the objects in which the alignments lie."""

    def __init__(self, results: ResultStore, places: Mapping[str, str]) -> None:
        self._results, self._places = results, places
        self._objects: dict[str, tuple[dict[str, int], pa.Table]] = {}

    def of(self, job: AgreementJob) -> Agreement:
        """Compare the two. Raises `CorruptObject`."""
        from raysweep.plan.permutations import permutation_of  # imports torch, which most tables need not

        permutation = permutation_of(job.moved, self._row)
        against = permutation_of(job.against, self._row) if job.against else None
        groups = permutation.agreement(against) if against else permutation.fixed_points()
        return Agreement(permutation.share_of_fixed_points(against), groups)

    def objects(self, job: AgreementJob) -> list[str] | None:
        """The objects that it needs; None where an alignment is not done."""
        moves: list[AppliedPermutation] = [job.moved, *([job.against] if job.against else [])]
        found = [self._places.get(identity) for move in moves for identity in move.alignments]
        names = [name for name in found if name is not None]
        return names if len(names) == len(found) else None

    def _row(self, alignment_id: str) -> dict[str, Any]:
        name = self._places[alignment_id]
        if name not in self._objects:
            if len(self._objects) >= KEPT:
                self._objects.pop(next(iter(self._objects)))
            rows = self._results.read(name, ["alignment_id", "groups", "permutations"])
            positions = {key: at for at, key in enumerate(rows.column("alignment_id").to_pylist())}
            self._objects[name] = positions, rows
        positions, rows = self._objects[name]
        row: dict[str, Any] = rows.slice(positions[alignment_id], 1).to_pylist()[0]
        return row
