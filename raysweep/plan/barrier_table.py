"""All barriers of a sweep as tables of numbers, from which a job is made when it is asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from raysweep.plan.barrier_ids import AT_ONCE, Texts, barrier_ids, measurement_ids
from raysweep.plan.identity import BarrierJob, Comparison, Measure
from raysweep.plan.measures import measurement
from raysweep.store.ids import PACKED, Ids, pack, texts


@dataclass(frozen=True)
class Part:
    """Barriers of `count` networks that are like a comparison but for networks and permutations.

    `numbers` has a row for each barrier, as `BarrierMaker.add` describes it. The ids are digests of texts,
    which begin with `how` and go on with those that are `known` by the numbers.
    """

    like: Comparison
    how: str
    count: int
    numbers: np.ndarray
    known: Texts

    def only(self, chosen: np.ndarray) -> "Part":
        """Return some of these barriers."""
        return Part(self.like, self.how, self.count, self.numbers[chosen], self.known)

    def ids(self, chosen: np.ndarray) -> np.ndarray:
        """Return the ids of some of these barriers."""
        return barrier_ids(self.how, self.count, self.numbers[chosen], self.known)


class Barriers(Mapping[str, BarrierJob]):
    """The barriers of a sweep by id, in a fixed order; the place of a barrier is its position in it.

    Ids are made when they are first asked for: work that has just begun does without.
    """

    def __init__(
        self,
        networks: Sequence[Any],
        permutations: Sequence[Any],
        parts: list[Part],
        measures: list[Measure],
    ) -> None:
        """`networks` and `permutations` have what the numbers of the parts stand for; 0 stands for None."""
        self.networks, self.permutations, self.parts, self.measures = networks, permutations, parts, measures
        self._starts = np.cumsum([0, *(len(part.numbers) for part in parts)])
        self._packed, self._made = np.zeros(len(self), PACKED), np.zeros(len(self), bool)

    @cached_property
    def ids(self) -> Ids:
        """The ids of all barriers."""
        self._make_ids(np.arange(len(self), dtype=np.int32))
        return Ids(self._packed)

    def some(self, places: np.ndarray) -> "Barriers":
        """Return the barriers at these places, which must ascend, with their ids."""
        self._make_ids(places)
        parts = [part.only(rows) for part, rows in self.by_part(places)]
        found = Barriers(self.networks, self.permutations, parts, self.measures)
        found._packed, found._made = self._packed[places], self._made[places]
        return found

    def _make_ids(self, places: np.ndarray) -> None:
        """Make the ids at these places, which must ascend, each once."""
        new = places[~self._made[places]]
        found = [part.ids(rows) for part, rows in self.by_part(new)]
        self._packed[new] = np.concatenate([np.empty(0, PACKED), *found])
        self._made[new] = True

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, identity: object) -> bool:
        return identity in self.ids

    def __getitem__(self, identity: str) -> BarrierJob:
        if identity not in self.ids:
            raise KeyError(identity)
        return self.of([identity])[0]

    def values(self) -> ValuesView[BarrierJob]:
        """Return the jobs in their order."""
        return _Jobs(self)

    def jobs(self, places: np.ndarray) -> Iterator[BarrierJob]:
        """Yield the jobs at these places, which must ascend."""
        for part, rows in self.by_part(places):
            for start in range(0, len(rows), AT_ONCE):
                chosen = rows[start : start + AT_ONCE]
                ids = texts(part.ids(chosen))
                for identity, row in zip(ids, part.numbers[chosen].tolist(), strict=True):
                    yield self._job(part, identity, row)

    def of(self, ids: Iterable[str]) -> list[BarrierJob]:
        """Return the jobs with these ids, which are among those of the sweep."""
        return self.several(self.ids.places(pack(ids)))

    def several(self, places: np.ndarray) -> list[BarrierJob]:
        """Return the jobs at these places, in any order."""
        ascending = np.unique(places)
        found = dict(zip(ascending.tolist(), self.jobs(ascending), strict=True))
        return [found[place] for place in places.tolist()]

    def by_part(self, places: np.ndarray) -> Iterator[tuple[Part, np.ndarray]]:
        """Yield each part with those of its rows that are at these places, which must ascend."""
        ends = np.searchsorted(places, self._starts)
        for number in np.flatnonzero(np.diff(ends)).tolist():
            yield self.parts[number], places[ends[number] : ends[number + 1]] - self._starts[number]

    def ids_by_part(self) -> Iterator[tuple[Part, np.ndarray]]:
        """Yield each part with the ids of its barriers."""
        for part, (start, end) in zip(self.parts, pairwise(self._starts), strict=True):
            yield part, self.ids.packed[start:end]

    @cached_property
    def measure_ids(self) -> np.ndarray:
        """The ids of the measurements, with a row for each barrier and a column for each measure."""
        found = [measurement_ids(measure, self.ids.packed) for measure in self.measures]
        return np.array(found, PACKED).reshape(len(self.measures), len(self)).T

    def _job(self, part: Part, identity: str, row: list[int]) -> BarrierJob:
        like, count = part.like, part.count
        comparison = Comparison(
            like.interpolation,
            like.kind,
            like.method,
            like.setting,
            tuple([self.networks[number] for number in row[:count]]),
            tuple([self.permutations[number] for number in row[count : 2 * count]]),
            self.networks[row[2 * count]],
            tuple([self.networks[number] for number in row[2 * count + 1 :]]),
            like.hybrid,
            like.across,
            like.statistics,
        )
        measurements = tuple([measurement(measure, identity) for measure in self.measures])
        return BarrierJob(identity, comparison, part.how, measurements)


class _Jobs(ValuesView[BarrierJob]):
    _mapping: Barriers

    def __iter__(self) -> Iterator[BarrierJob]:
        return self._mapping.jobs(np.arange(len(self._mapping)))


class Measurements(Mapping[str, tuple[BarrierJob, str]]):
    """The barrier and the name of the measure of every measurement, by its id."""

    def __init__(self, barriers: Barriers) -> None:
        self._barriers = barriers

    @cached_property
    def ids(self) -> Ids:
        """The ids of all measurements."""
        return Ids(self._barriers.measure_ids.ravel())

    def __len__(self) -> int:
        return len(self._barriers) * len(self._barriers.measures)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __getitem__(self, identity: str) -> tuple[BarrierJob, str]:
        if identity not in self.ids:
            raise KeyError(identity)
        return self.of([identity])[0]

    def of(self, ids: Iterable[str]) -> list[tuple[BarrierJob, str]]:
        """Return the barriers and the names of the measures of these ids, all of which are among these."""
        barriers, measures = np.divmod(self.ids.places(pack(ids)), len(self._barriers.measures))
        names = [self._barriers.measures[measure].name for measure in measures.tolist()]
        return list(zip(self._barriers.several(barriers), names, strict=True))
