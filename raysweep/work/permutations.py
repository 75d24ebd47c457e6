"""Permutations as the alignment workers committed them."""

from typing import Any

from raysweep.plan.applied_permutations import AppliedPermutation
from raysweep.plan.permutations import permutation_of
from raysweep.store.results import ResultStore
from raysweep.symmetry import Permutation
from raysweep.store.memory_cache import Cache

COLUMNS = ["alignment_id", "groups", "permutations"]
KEPT = 2**26  # bytes of objects


class Permutations:
    """Reads permutations from the store and keeps the objects that were used last."""

    def __init__(self, results: ResultStore) -> None:
        self._results, self._objects = results, Cache(KEPT)

    def of(self, moved: AppliedPermutation, places: dict[str, str]) -> Permutation:
        """Return the permutation of a move; `places` says in which object each alignment lies."""
        return permutation_of(moved, lambda alignment_id: self._row(alignment_id, places[alignment_id]))

    def _row(self, alignment_id: str, name: str) -> dict[str, Any]:
        kept = self._objects.get(name)
        if kept is None:
            rows = self._results.read(name, COLUMNS)
            kept = rows, {each: place for place, each in enumerate(rows.column("alignment_id").to_pylist())}
            self._objects.put(name, kept, rows.nbytes)
        rows, places = kept
        (row,) = rows.slice(places[alignment_id], 1).to_pylist()
        return dict(row)
