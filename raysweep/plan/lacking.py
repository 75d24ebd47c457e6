"""Which barriers lack inputs, and in words which: there may be millions, of which no job is made."""

from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np

from raysweep.plan.barrier_table import Barriers, Part
from raysweep.store.ids import texts

Input = tuple[str, int] | str  # a level of a trial, or an alignment
AT_ONCE = 2**16  # barriers that are looked at together


class Lacking:
    """Some inputs that barriers lack, with words for each, and the barriers that lack them."""

    def __init__(self, barriers: Barriers, words: Mapping[Input, str]) -> None:
        """`words` has those of the inputs that are lacked; all other inputs are there."""
        self._barriers, self._applied = barriers, len(barriers.networks)
        networks = [[(network.trial_id, network.level)] for network in barriers.networks[1:]]
        applied = [permutation.alignments for permutation in barriers.permutations[1:]]
        every = ([words[each] for each in some if each in words] for some in ([], *networks, [], *applied))
        self._words = list(every)  # of the networks and, after them, the permutations, by their numbers
        self._lacked = np.array(list(map(bool, self._words)))

    def among(self, places: np.ndarray) -> np.ndarray:
        """Return those of these places, which ascend, whose barriers lack an input."""
        found = [np.empty(0, np.int32)]
        for some in _pieces(places):
            parts = self._barriers.by_part(some)
            lacked = [self._numbers(part.only(rows)).any(axis=1) for part, rows in parts]
            found.append(some[np.concatenate(lacked)])
        return np.concatenate(found)

    def of(self, places: np.ndarray) -> Iterator[tuple[str, str]]:
        """Yield the id of each barrier at these places, which ascend, with words for what it lacks.

        Barriers that lack the same share the text.
        """

        @cache
        def joined(numbers: tuple[int, ...]) -> str:
            return " and ".join(dict.fromkeys(each for number in numbers for each in self._words[number]))

        for some in _pieces(places):
            for part, ids in self._barriers.some(some).ids_by_part():
                lacked, which = np.unique(self._numbers(part), axis=0, return_inverse=True)
                said = [joined(tuple(row)) for row in lacked.tolist()]
                yield from zip(texts(ids), map(said.__getitem__, which.ravel().tolist()), strict=True)

    def _numbers(self, part: Part) -> np.ndarray:
        """Where in `_words` what the barriers of a part lack is, (barriers, 2 count); 0 for what is there."""
        found = part.numbers[:, : 2 * part.count].copy()
        found[:, part.count :] += self._applied
        found[~self._lacked[found]] = 0
        return found


def _pieces(places: np.ndarray) -> Iterator[np.ndarray]:
    yield from (places[start : start + AT_ONCE] for start in range(0, len(places), AT_ONCE))
