"""The barriers of a sweep that may have results. To find out what is done, the others need no ids.

A committed row names the networks and the permutations that it was computed from. So it can only be a result
of a barrier of the same ones, and numbers that stand for them are found in a second where ids take a minute.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from raysweep.plan.barrier_table import Barriers, Measurements
from raysweep.store.ids import Ids
from raysweep.store.inputs import number_of

AT_ONCE = 2**16  # barriers that are looked at together


@dataclass(frozen=True)
class Candidates:
    """Some barriers of a sweep, with their `places` among all of it, which ascend."""

    barriers: Barriers
    places: np.ndarray

    @classmethod
    def none(cls) -> "Candidates":
        return cls(Barriers([], [], [], []), np.empty(0, np.int32))

    @classmethod
    def of(cls, every: Barriers, names: np.ndarray) -> "Candidates":
        """Return the barriers whose inputs have one of these sums of `store.inputs.Inputs.names`.

        Where there is a 0 among them, of a row that names no inputs, these are all barriers.
        """
        if not len(names):
            return cls.none()
        if 0 in names:
            return cls(every, np.arange(len(every), dtype=np.int32))
        places = np.concatenate([np.empty(0, np.int32), *_places(every, np.sort(names))])
        return cls(every.some(places), places)

    def placed(self, ids: Ids) -> np.ndarray:
        """Return the places among all barriers of those of these ids that are here."""
        found = self.barriers.ids.places(ids.packed)
        places: np.ndarray = self.places[found[found >= 0]]
        return places

    def measured(self, ids: Ids) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of the barriers, and the numbers of the measures, of those ids that are here."""
        if not ids:
            return np.empty(0, np.int32), np.empty(0, np.int32)
        found = Measurements(self.barriers).ids.places(ids.packed)
        barriers, measures = np.divmod(found[found >= 0], len(self.barriers.measures))
        return self.places[barriers], measures


def _places(every: Barriers, names: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the places of the barriers whose inputs have one of these sums, which ascend, some at a time."""
    inputs, at = _Inputs(every), 0
    for part in every.parts:
        for start in range(0, len(part.numbers), AT_ONCE):
            sums = inputs.names(part.numbers[start : start + AT_ONCE], part.count)
            order = np.argsort(sums)  # what is looked up in order is looked up in the cache
            near = np.searchsorted(names, sums[order]).clip(max=len(names) - 1)
            found = np.sort(order[names[near] == sums[order]])
            yield (found + at + start).astype(np.int32)
        at += len(part.numbers)


class _Inputs:
    """The inputs of barriers as numbers, of which 0 stands for none: networks and, after them, alignments."""

    def __init__(self, every: Barriers) -> None:
        networks, applied = every.networks[1:], [each.alignments for each in every.permutations[1:]]
        alignments = dict.fromkeys(each for found in applied for each in found)
        number = {each: at for at, each in enumerate(alignments, len(networks) + 1)}
        self._alignments = np.zeros((len(applied) + 1, max(map(len, applied), default=0)), np.int32)
        for row, found in enumerate(applied, 1):
            self._alignments[row, : len(found)] = [number[each] for each in found]
        self._hashes = np.array([0, *_hashes(map(str, networks)), *_hashes(alignments)], np.int64)

    def names(self, numbers: np.ndarray, count: int) -> np.ndarray:
        """Return for each row of a part the sum of the hashes of its inputs' names, each of them once."""
        columns = [numbers[:, at] for at in range(count)]
        for at in range(count, 2 * count):
            columns += [each for each in self._alignments[numbers[:, at]].T if each.any()]
        found = np.zeros(len(numbers), np.int64)
        for at, column in enumerate(columns):
            new = np.ones(len(column), bool)
            for before in columns[:at]:
                new &= before != column
            found += np.where(new, self._hashes[column], 0)
        return found


def _hashes(names: Iterable[str]) -> Iterator[int]:
    return map(number_of, names)
