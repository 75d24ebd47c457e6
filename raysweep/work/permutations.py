"""Permutations as the alignment workers committed them."""

from typing import Any

from raysweep.store.results import ResultStore
from raysweep.sweep.moves import Moved
from raysweep.sweep.permuting import permutation_of
from raysweep.symmetry import Permutation

COLUMNS = ["alignment_id", "groups", "permutations"]


class Permutations:
    """Reads permutations from the store and keeps the last ones."""

    def __init__(self, results: ResultStore, keep: int = 64) -> None:
        self._results, self._keep = results, keep
        self._objects: dict[str, dict[str, dict[str, Any]]] = {}

    def of(self, moved: Moved, places: dict[str, str]) -> Permutation:
        """Return the permutation of a move; `places` says in which object each alignment lies."""
        return permutation_of(moved, lambda alignment_id: self._row(alignment_id, places[alignment_id]))

    def _row(self, alignment_id: str, name: str) -> dict[str, Any]:
        if name not in self._objects:
            while len(self._objects) >= self._keep:
                self._objects.pop(next(iter(self._objects)))
            rows = self._results.read(name, COLUMNS).to_pylist()
            self._objects[name] = {row["alignment_id"]: row for row in rows}
        return self._objects[name][alignment_id]
