"""Permutations as the alignment workers committed them."""

from typing import Any

import torch

from raysweep.store.results import ResultStore
from raysweep.sweep.identity import Move
from raysweep.symmetry import Permutation


class Permutations:
    """Reads permutations from the store and keeps the last ones."""

    def __init__(self, results: ResultStore, keep: int = 64) -> None:
        self._results, self._keep = results, keep
        self._objects: dict[str, dict[str, Permutation]] = {}

    def of(self, move: Move, places: dict[str, str]) -> Permutation:
        """Return the permutation of a move; `places` says in which object each alignment lies."""
        name = places[move.alignment_id]
        if name not in self._objects:
            while len(self._objects) >= self._keep:
                self._objects.pop(next(iter(self._objects)))
            self._objects[name] = {row["alignment_id"]: _permutation(row) for row in self._results.read(name)}
        permutation = self._objects[name][move.alignment_id]
        return permutation.inverse() if move.inverse else permutation


def _permutation(row: dict[str, Any]) -> Permutation:
    return Permutation(
        {group: torch.tensor(units) for group, units in zip(row["groups"], row["permutations"], strict=True)}
    )
