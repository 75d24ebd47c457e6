"""All barriers of a sweep as tables of numbers, from which a job is made when it is asked for."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from raysweep.plan.barrier_ids import AT_ONCE, Texts, barrier_ids, measurement_ids
from raysweep.plan.identity import BarrierJob, Comparison, Measure
from raysweep.plan.measures import measurement
from raysweep.store.ids import PACKED, Ids, pack, texts
from raysweep.vocabulary import Interpolation


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

    def ids(self, chosen: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return the ids of some of these barriers, or of all."""
        return barrier_ids(self.how, self.count, self.numbers[chosen], self.known)


class Barriers(Mapping[str, BarrierJob]):
    """The barriers of a sweep by id, in a fixed order; the place of a barrier is its position in it.

    The ids of all are made when they are first asked for: work that has just begun does without.
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

    @cached_property
    def ids(self) -> Ids:
        """The ids of all barriers."""
        return Ids(np.concatenate([np.empty(0, PACKED), *(part.ids() for part in self.parts)]))

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


class BarriersLeft(Collection[BarrierJob]):
    """What is left of a sweep's barriers: of each its risks, measurements that are missing, or both."""

    def __init__(self, barriers: Barriers, risks: np.ndarray, missing: np.ndarray) -> None:
        """`risks` says of each barrier of the sweep whether they are left, `missing` of each measurement."""
        self.barriers = barriers
        self.networks, self.permutations = barriers.networks, barriers.permutations
        self.places = np.flatnonzero(risks | missing.any(axis=1)).astype(np.int32)
        self._risks, self._missing = risks, missing

    @classmethod
    def all_of(cls, barriers: Barriers) -> "BarriersLeft":
        """Return all barriers, with their measurements."""
        return cls(
            barriers, np.ones(len(barriers), bool), np.ones((len(barriers), len(barriers.measures)), bool)
        )

    @classmethod
    def of(cls, barriers: Barriers, done: Ids, measured: Ids) -> "BarriersLeft":
        """Return what is left, given the ids of the barriers and of the measurements that are done."""
        risks, missing = np.ones(len(barriers), bool), np.ones((len(barriers), len(barriers.measures)), bool)
        risks[_places(barriers, done)] = False
        missing.ravel()[_places(Measurements(barriers), measured)] = False
        return cls(barriers, risks, missing)

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, job: object) -> bool:
        return any(job == each for each in self)

    def __iter__(self) -> Iterator[BarrierJob]:
        return self.at(self.places)

    def rows(self, places: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield settings and the numbers of the networks and permutations of their jobs at some places."""
        for part, rows in self.barriers.by_part(places):
            numbers = part.numbers[rows]
            yield part.like.setting, numbers[:, : part.count], numbers[:, part.count : 2 * part.count]

    def at(self, places: np.ndarray) -> Iterator[BarrierJob]:
        """Yield what is left of the barriers at some places, which ascend."""
        jobs = self.barriers.jobs(places)
        return map(self._left, places.tolist(), jobs) if self.barriers.measures else jobs

    def only(self, ids: Collection[str]) -> "BarriersLeft":
        """Return what is left of those barriers that are among these ids."""
        return self._where(self._among(ids))

    def without(self, ids: Collection[str]) -> "BarriersLeft":
        """Return what is left of the barriers that are not among these ids."""
        return self._where(~self._among(ids))

    @property
    def risks(self) -> int:
        """The number of barriers whose risks are left."""
        return int(self._risks.sum())

    def measured(self) -> Counter[str]:
        """Return how many measurements are left by `Measure.how`; none where there are none."""
        counts = self._missing.sum(axis=0).tolist()
        return Counter({m.how: n for m, n in zip(self.barriers.measures, counts, strict=True) if n})

    def settings(self) -> Counter[str]:
        """Return of how many barriers the risks are left, by `BarrierJob.how`."""
        found: Counter[str] = Counter()
        for part, rows in self.barriers.by_part(np.flatnonzero(self._risks)):
            found[part.how] += len(rows)
        return found

    def sizes(self) -> Counter[tuple[str, Interpolation]]:
        """Return how many jobs are left by the trial of their first network and by interpolation."""
        found: Counter[tuple[str, Interpolation]] = Counter()
        for part, rows in self.barriers.by_part(self.places):
            firsts, counts = np.unique(part.numbers[rows, 0], return_counts=True)
            for first, count in zip(firsts.tolist(), counts.tolist(), strict=True):
                found[self.barriers.networks[first].trial_id, part.like.interpolation] += count
        return found

    def _among(self, ids: Collection[str]) -> np.ndarray:
        found = np.zeros(len(self.barriers), bool)
        found[_places(self.barriers, Ids.of(ids))] = True
        return found

    def _where(self, chosen: np.ndarray) -> "BarriersLeft":
        return BarriersLeft(self.barriers, self._risks & chosen, self._missing & chosen[:, None])

    def _left(self, place: int, job: BarrierJob) -> BarrierJob:
        risks, missing = bool(self._risks[place]), self._missing[place]
        if risks and missing.all():
            return job
        left = tuple(each for each, is_missing in zip(job.measurements, missing, strict=True) if is_missing)
        return replace(job, risks=risks, measurements=left)


def among(every: Barriers | Measurements, some: Ids) -> Ids:
    """Return those of some ids that are among those of all, which are not made for none."""
    return every.ids.among(some) if some else some


def _places(every: Barriers | Measurements, some: Ids) -> np.ndarray:
    """The places of those of some ids that are among those of all, which are not made for none."""
    if not some:
        return np.empty(0, np.int32)
    places = every.ids.places(some.packed)
    return places[places >= 0]
