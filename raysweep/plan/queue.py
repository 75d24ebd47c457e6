"""The jobs of a run that are not handed out yet, in the order in which they will be, as arrays.

There may be ten million of them, so none is an object of Python's before it is handed out. A job that lacks
inputs is noted at one of them alone; when that arrives, the job is noted at another one, or it is ready.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from raysweep.plan.identity import AlignmentJob, BarrierJob
from raysweep.plan.lacking import Input

Job = AlignmentJob | BarrierJob
WAITING, READY, TAKEN = range(3)
PLACED_BY = 3  # networks of a job, at most, that determine its position
AT_ONCE = 2**16  # jobs that are looked at together
AHEAD = 64  # jobs of a setting that are found together, because one alone takes as long


class Jobs(Protocol):
    """Jobs at ascending `places`; `networks` and `permutations` have numbers, of which 0 stands for None."""

    networks: Sequence[Any]
    permutations: Sequence[Any]
    places: np.ndarray

    def rows(self, places: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield settings and the numbers of the networks and permutations of their jobs at some places."""
        ...

    def at(self, places: np.ndarray) -> Iterator[Job]:
        """Yield the jobs at some places, which ascend."""
        ...


@dataclass
class _Setting:
    """The positions of a setting's jobs in a queue: from `start` to `end`, and none is ready before `low`.

    `ahead` are the next ready jobs, with their positions, as far as they have been found.
    """

    name: str
    start: int
    end: int
    ready: int = 0
    low: int = 0
    ahead: deque[tuple[int, Job]] = field(default_factory=deque)


class Queue:
    """Hands out the jobs of one kind, each once and when its inputs are there.

    The jobs of a setting come by the moments of training, and at each moment in the order of a curve that
    fills the matrix of the setting's pairs square by square: any n consecutive jobs read about 2 sqrt(n)
    networks. `rows` has the row of each trial in that matrix.
    """

    def __init__(self, jobs: Jobs, here: Collection[Input], rows: Mapping[str, int]) -> None:
        self._jobs = jobs
        self.ready: dict[str, int] = {}  # by setting
        self.count = 0  # of ready jobs
        self._number_inputs(here)
        self._settings: dict[str, _Setting] = {}
        self._places = self._ordered(rows)
        self._starts = np.array([each.start for each in self._settings.values()])
        self._states = np.full(len(self._places), WAITING, np.int8)
        self._watched: defaultdict[int, list[np.ndarray]] = defaultdict(list)
        self._note(np.arange(len(self._places), dtype=np.int32))

    def arrived(self, inputs: Iterable[Input]) -> None:
        """These inputs are there."""
        numbers = [self._numbers[each] for each in inputs if each in self._numbers]
        self._lacking[numbers] = False
        watching = [positions for number in numbers for positions in self._watched.pop(number, ())]
        if watching:
            self._note(np.concatenate(watching))

    def first(self, setting: str) -> Job:
        """Return the job of a setting that is handed out next."""
        return self._ahead(self._settings[setting], 1)[0][1]

    def take(self, setting: str, count: int) -> tuple[Job, ...]:
        """Hand out so many jobs of a setting, which has as many."""
        found = self._settings[setting]
        ahead = self._ahead(found, count)
        taken = [ahead.popleft() for _ in range(count)]
        self._states[[position for position, _ in taken]] = TAKEN
        found.low, found.ready = taken[-1][0] + 1, found.ready - count
        self.ready[setting] = found.ready
        self.count -= count
        if not found.ready:
            del self.ready[setting]
        return tuple([job for _, job in taken])

    def position(self, setting: str) -> int:
        """Return where the jobs of a setting begin in the order of all."""
        return self._settings[setting].start

    def waiting(self) -> np.ndarray:
        """Return the places of the jobs that lack inputs, which ascend."""
        return np.sort(self._places[self._states == WAITING])

    @property
    def lacked(self) -> list[Input]:
        """The inputs of jobs that have not arrived."""
        return [each for each, number in self._numbers.items() if self._lacking[number]]

    def _number_inputs(self, here: Collection[Input]) -> None:
        """Give each input a number; the last one stands for no input."""
        jobs = self._jobs
        levels = [(network.trial_id, network.level) for network in jobs.networks[1:]]
        applied = [permutation.alignments for permutation in jobs.permutations[1:]]
        every: list[Input] = [*levels, *(each for found in applied for each in found)]
        self._numbers = {each: number for number, each in enumerate(dict.fromkeys(every))}
        self._lacking = np.array([each not in here for each in self._numbers] + [False])
        self._levels = np.array([-1, *(self._numbers[each] for each in levels)], np.int32)
        self._alignments = np.full((len(applied) + 1, max(map(len, applied), default=0)), -1, np.int32)
        for number, found in enumerate(applied, 1):
            self._alignments[number, : len(found)] = [self._numbers[each] for each in found]

    def _ordered(self, rows: Mapping[str, int]) -> np.ndarray:
        """The places of all jobs in the order in which they are handed out, setting by setting."""
        networks = self._jobs.networks[1:]
        ranks = {moment: rank for rank, moment in enumerate(sorted({(n.level, n.step) for n in networks}), 1)}
        moments = np.array([0, *(ranks[network.level, network.step] for network in networks)])
        cells = np.array([0, *(rows[network.trial_id] for network in networks)])
        parts: defaultdict[str, list[tuple[np.ndarray, ...]]] = defaultdict(list)
        done = 0
        for setting, numbers in self._rows():
            chosen = numbers[:, :PLACED_BY]
            places = self._jobs.places[done : done + len(numbers)]
            parts[setting].append(
                (_on_curve(cells[chosen]), _joined(moments[chosen], len(ranks) + 1), places)
            )
            done += len(numbers)
        ordered, start = [np.empty(0, np.int64)], 0
        for setting, found in parts.items():
            *keys, places = (np.concatenate(each) for each in zip(*found, strict=True))
            ordered.append(places[np.lexsort(keys)])
            self._settings[setting] = _Setting(setting, start, start + len(places), low=start)
            start += len(places)
        return np.concatenate(ordered)

    def _rows(self) -> Iterator[tuple[str, np.ndarray]]:
        """The settings and the numbers of the networks of all jobs, some at a time."""
        places = self._jobs.places
        for start in range(0, len(places), AT_ONCE):
            for setting, networks, _ in self._jobs.rows(places[start : start + AT_ONCE]):
                yield setting, networks

    def _note(self, positions: np.ndarray) -> None:
        """Note each of these jobs at an input that it lacks; those that lack none are ready."""
        for start in range(0, len(positions), AT_ONCE):
            some = positions[start : start + AT_ONCE]
            some = some[np.argsort(self._places[some])]
            lacked = self._lacked(self._places[some])
            for number, chosen in _groups(lacked, some):
                if number < 0:
                    self._release(chosen)
                else:
                    self._watched[number].append(chosen)

    def _lacked(self, places: np.ndarray) -> np.ndarray:
        """The number of an input that each job at these places lacks, -1 where it lacks none.

        Alignments come before networks, because what they require arrives before them.
        """
        found = []
        for _, networks, permutations in self._jobs.rows(places):
            applied = (self._alignments[column] for column in permutations.T)
            inputs = np.hstack([*applied, self._levels[networks]])
            lacking = self._lacking[inputs]
            some = inputs[np.arange(len(inputs)), lacking.argmax(axis=1)]
            found.append(np.where(lacking.any(axis=1), some, -1))
        return np.concatenate(found)

    def _release(self, positions: np.ndarray) -> None:
        self._states[positions] = READY
        settings = list(self._settings.values())
        self.count += len(positions)
        for number, chosen in _groups(np.searchsorted(self._starts, positions, side="right") - 1, positions):
            setting, low = settings[number], int(chosen.min())
            setting.ready += len(chosen)
            setting.low = min(setting.low, low)
            if setting.ahead and low < setting.ahead[-1][0]:
                setting.ahead.clear()  # and found again, because these come in between
            self.ready[setting.name] = setting.ready

    def _ahead(self, setting: _Setting, count: int) -> deque[tuple[int, Job]]:
        """The next ready jobs of a setting, `count` at least, with their positions."""
        if len(setting.ahead) < count:
            positions = self._next(setting, min(setting.ready, max(count, AHEAD)))
            places = self._places[positions]
            jobs = dict(zip(np.sort(places).tolist(), self._jobs.at(np.sort(places)), strict=True))
            setting.ahead = deque(
                (position, jobs[place])
                for position, place in zip(positions.tolist(), places.tolist(), strict=True)
            )
        return setting.ahead

    def _next(self, setting: _Setting, count: int) -> np.ndarray:
        """The positions of the next jobs of a setting that are ready."""
        found, at = np.empty(0, np.int64), setting.low
        while len(found) < count:
            end = min(at + AT_ONCE, setting.end)
            more = np.flatnonzero(self._states[at:end] == READY)[: count - len(found)] + at
            found, at = np.concatenate([found, more]), end
        return found


class AlignmentRows:
    """Alignments as `Jobs`."""

    permutations: Sequence[Any] = (None,)

    def __init__(self, jobs: list[AlignmentJob]) -> None:
        self._settings: defaultdict[str, list[AlignmentJob]] = defaultdict(list)
        for job in jobs:
            self._settings[job.setting].append(job)
        self._ordered = [job for some in self._settings.values() for job in some]
        self.networks: Sequence[Any] = (
            None,
            *dict.fromkeys(network for job in jobs for network in job.networks),
        )
        number = {network: at for at, network in enumerate(self.networks)}
        width = max((len(job.networks) for job in jobs), default=0)
        self._numbers = np.zeros((len(jobs), width), np.int32)
        for row, job in zip(self._numbers, self._ordered, strict=True):
            row[: len(job.networks)] = [number[network] for network in job.networks]
        self.places = np.arange(len(jobs))

    def rows(self, places: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield settings and the numbers of the networks of their jobs at some places."""
        ends = np.searchsorted(places, np.cumsum([0, *map(len, self._settings.values())]))
        for setting, start, end in zip(self._settings, ends, ends[1:], strict=False):
            if start < end:
                numbers = self._numbers[places[start:end]]
                yield setting, numbers, np.zeros((len(numbers), 1), np.int32)

    def at(self, places: np.ndarray) -> Iterator[AlignmentJob]:
        """Yield the alignments at some places."""
        return map(self._ordered.__getitem__, places.tolist())


def _joined(digits: np.ndarray, base: int) -> np.ndarray:
    """Numbers from the digits in the columns; missing last digits count as 0."""
    found = np.zeros(len(digits), np.int64)
    for column in range(PLACED_BY):
        found = found * base + (digits[:, column] if column < digits.shape[1] else 0)
    return found


def _on_curve(cells: np.ndarray) -> np.ndarray:
    """The positions of cells of a matrix on the Z-order curve: the bits of their indices, interleaved."""
    code = np.zeros(len(cells), np.int64)
    for bit in reversed(range(int(cells.max(initial=0)).bit_length())):
        for index in cells.T:
            code = code << 1 | index >> bit & 1
    return code


def _groups(numbers: np.ndarray, items: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each number with the items that have it."""
    order = np.argsort(numbers, kind="stable")
    found, starts = np.unique(numbers[order], return_index=True)
    yield from zip(found.tolist(), np.split(items[order], starts[1:]), strict=True)
