"""What is left of a sweep's barriers."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np

from raysweep.plan.barrier_table import Barriers
from raysweep.plan.candidates import Candidates
from raysweep.plan.identity import BarrierJob
from raysweep.store.ids import Ids
from raysweep.vocabulary import Interpolation


class BarriersLeft(Collection[BarrierJob]):
    """What is left of a sweep's barriers: of each its risks, measurements that are missing, or both."""

    def __init__(
        self, barriers: Barriers, candidates: Candidates, risks: np.ndarray, missing: np.ndarray
    ) -> None:
        """`risks` says of each barrier of the sweep whether they are left, `missing` of each measurement."""
        self.barriers, self._candidates = barriers, candidates
        self.networks, self.permutations = barriers.networks, barriers.permutations
        self.places = np.flatnonzero(risks | missing.any(axis=1)).astype(np.int32)
        self._risks, self._missing = risks, missing

    @classmethod
    def all_of(cls, barriers: Barriers) -> "BarriersLeft":
        """Return all barriers, with their measurements."""
        return cls.of(barriers, Candidates.none(), Ids.of(), Ids.of())

    @classmethod
    def of(cls, barriers: Barriers, candidates: Candidates, done: Ids, measured: Ids) -> "BarriersLeft":
        """Return what is left, given the ids of the barriers and of the measurements that are done.

        All of these are among the candidates.
        """
        risks, missing = np.ones(len(barriers), bool), np.ones((len(barriers), len(barriers.measures)), bool)
        risks[candidates.placed(done)] = False
        missing[candidates.measured(measured)] = False
        return cls(barriers, candidates, risks, missing)

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
        """Return what is left of those candidates that are among these ids."""
        return self._where(self._at(self._candidates.placed(Ids.of(ids))))

    def without(self, places: np.ndarray) -> "BarriersLeft":
        """Return what is left of the barriers that are not at these places."""
        return self._where(~self._at(places))

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

    def sizes(self) -> Counter[tuple[str, Interpolation, str]]:
        """Return how many jobs are left by the trial of their first network, interpolation and statistics."""
        found: Counter[tuple[str, Interpolation, str]] = Counter()
        for part, rows in self.barriers.by_part(self.places):
            firsts, counts = np.unique(part.numbers[rows, 0], return_counts=True)
            for first, count in zip(firsts.tolist(), counts.tolist(), strict=True):
                like = part.like
                found[self.barriers.networks[first].trial_id, like.interpolation, like.statistics] += count
        return found

    def _at(self, places: np.ndarray) -> np.ndarray:
        found = np.zeros(len(self.barriers), bool)
        found[places] = True
        return found

    def _where(self, chosen: np.ndarray) -> "BarriersLeft":
        missing = self._missing & chosen[:, None]
        return BarriersLeft(self.barriers, self._candidates, self._risks & chosen, missing)

    def _left(self, place: int, job: BarrierJob) -> BarrierJob:
        risks, missing = bool(self._risks[place]), self._missing[place]
        if risks and missing.all():
            return job
        left = tuple(each for each, is_missing in zip(job.measurements, missing, strict=True) if is_missing)
        return replace(job, risks=risks, measurements=left)
