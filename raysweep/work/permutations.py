"""Permutations as the alignment workers committed them."""

from typing import Any

import torch

from raysweep.store.results import ResultStore
from raysweep.sweep.identity import Move
from raysweep.symmetry import Permutation

COLUMNS = ("alignment_id", "groups", "permutations")


class Permutations:
    """Reads permutations from the store and keeps the last ones."""

    def __init__(self, results: ResultStore, keep: int = 64) -> None:
        self._results, self._keep = results, keep
        self._objects: dict[str, dict[str, dict[str, Any]]] = {}

    def of(self, move: Move, places: dict[str, str]) -> Permutation:
        """Return the permutation of a move; `places` says in which object each alignment lies."""
        name = places[move.alignment_id]
        if name not in self._objects:
            while len(self._objects) >= self._keep:
                self._objects.pop(next(iter(self._objects)))
            self._objects[name] = {row["alignment_id"]: row for row in self._results.read(name, COLUMNS)}
        row = self._objects[name][move.alignment_id]
        prefix = "" if move.member is None else member_prefix(move.member)
        permutation = Permutation(
            {
                group.removeprefix(prefix): torch.tensor(units)
                for group, units in zip(row["groups"], row["permutations"], strict=True)
                if group.startswith(prefix)
            }
        )
        return permutation.inverse() if move.inverse else permutation


def member_prefix(member: int) -> str:
    """What stands before the groups of one network in the row of a joint alignment."""
    return f"{member}/"
