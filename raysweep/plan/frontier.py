"""The frontier of a run: what is left to do, and which of it has its inputs."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from raysweep.plan.identity import AlignmentJob, BarrierJob, Trial
from raysweep.plan.plan import Desired, Done, Todo

Job = AlignmentJob | BarrierJob
Input = tuple[str, int] | str  # a level of a trial, or an alignment
_Moments = tuple[tuple[int, int], ...]  # level and step of each network
_Place = tuple[_Moments, int]  # at which moments of training, and where on the curve through all pairs


class Frontier:
    """Hears what arrives (`level_done`, `aligned`) and hands out what can be done (`take_trial`, `take`).

    Every job is handed out once. `objects` are those in which the finished alignments lie.
    """

    def __init__(self, wanted: Desired, present: Done, work: Todo) -> None:
        self._wanted = wanted
        self.objects = dict(present.alignments)
        self._here: set[Input] = {*present.records, *present.alignments}
        self._missing: dict[str, int] = {}
        self._followers: dict[Input, list[Trial | Job]] = {}
        self._order: dict[str, int] = {}
        self._positions = _positions(wanted)
        self._trials: list[tuple[int, int, Trial]] = []
        self._groups: dict[Literal["alignment", "barrier"], dict[str, list[tuple[_Place, int, Job]]]] = {
            "alignment": {},
            "barrier": {},
        }
        self.ready = 0  # alignments and barriers that wait for nothing but a worker
        left: list[Trial | Job] = [*work.trials, *work.alignments, *work.barriers]
        for each in left:
            self._order[_id(each)] = len(self._order)
            self._enter(each)

    def level_done(self, trial_id: str, level: int) -> None:
        """A level of a trial, with all its checkpoints, can be read."""
        self._arrived((trial_id, level))

    def aligned(self, alignment_ids: Iterable[str], place: str) -> None:
        """Alignments lie in the object `place`."""
        for alignment_id in alignment_ids:
            self.objects[alignment_id] = place
            self._arrived(alignment_id)

    @property
    def has_trial(self) -> bool:
        return bool(self._trials)

    def take_trial(self) -> Trial:
        """Return the largest trial that has its inputs, so that no long one is left for the end."""
        return heapq.heappop(self._trials)[-1]

    def take(self, size_of: Callable[[Job], int], before: str | None, others: set[str]) -> tuple[Job, ...]:
        """Return jobs of one kind and group, as many as `size_of` says of the first; empty when none are.

        Alignments come first, for others wait for them. Who asks goes on with the group of `before`, whose
        checkpoints it holds; then come groups that none of the `others` is at, the widest networks first.
        Jobs of a group come by the moments of training, and at a moment in the order of a curve that fills
        the matrix of its pairs square by square: whatever n is, n jobs that follow each other read about
        2 sqrt(n) networks.
        """
        groups = self._groups["alignment"] or self._groups["barrier"]
        if not groups:
            return ()
        group = (
            before
            if before in groups
            else min(groups, key=lambda name: (name in others, *self._size(groups[name])))
        )
        assert group is not None
        heap = groups[group]
        count = min(len(heap), size_of(heap[0][-1]))
        jobs = tuple(heapq.heappop(heap)[-1] for _ in range(count))
        if not heap:
            del groups[group]
        self.ready -= count
        return jobs

    def waiting(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the trials that never had their inputs, with what they waited for."""
        found: dict[str, list[str]] = {}
        for needed, followers in self._followers.items():
            for each in followers:
                if isinstance(each, Trial):
                    name = f"alignment {needed}" if isinstance(needed, str) else f"trial {needed[0]}"
                    found.setdefault(each.trial_id, []).append(name)
        for trial_id, names in found.items():
            yield trial_id, list(dict.fromkeys(names))

    def _enter(self, each: Trial | Job) -> None:
        missing = set(self._inputs(each)) - self._here
        for needed in missing:
            self._followers.setdefault(needed, []).append(each)
        self._missing[_id(each)] = len(missing)
        if not missing:
            self._release(each)

    def _inputs(self, each: Trial | Job) -> Iterator[Input]:
        if isinstance(each, Trial):
            extent = self._wanted.extents[each.trial_id]
            for needed in extent.needs:
                yield from ((needed, level) for level in self._wanted.extents[needed].levels)
            yield from (move.alignment_id for move in extent.moves.values())
            return
        yield from ((network.trial_id, network.level) for network in each.networks)
        if isinstance(each, BarrierJob):
            yield from each.alignments

    def _arrived(self, needed: Input) -> None:
        self._here.add(needed)
        for each in self._followers.pop(needed, []):
            self._missing[_id(each)] -= 1
            if not self._missing[_id(each)]:
                self._release(each)

    def _release(self, each: Trial | Job) -> None:
        order = self._order[_id(each)]
        if isinstance(each, Trial):
            heapq.heappush(self._trials, (-self._cost(each), order, each))
            return
        kind: Literal["alignment", "barrier"] = "alignment" if isinstance(each, AlignmentJob) else "barrier"
        heap = self._groups[kind].setdefault(each.group, [])
        heapq.heappush(heap, (self._place(each), order, each))
        self.ready += 1

    def _place(self, job: Job) -> _Place:
        moments = tuple((network.level, network.step) for network in job.networks)
        return moments, _on_curve([self._positions[network.trial_id] for network in job.networks])

    def _size(self, heap: list[tuple[_Place, int, Job]]) -> tuple[int, int]:
        _, order, job = heap[0]
        widths = (self._wanted.trials[network.trial_id].training.width for network in job.networks)
        return -max(widths), order

    def _cost(self, trial: Trial) -> int:
        extent = self._wanted.extents[trial.trial_id]
        return trial.training.width * len(extent.levels) * (extent.total - extent.start)


def _positions(wanted: Desired) -> dict[str, int]:
    """The place of every trial in the matrix of its group's pairs, whose networks are sorted by their ids."""
    groups: dict[str, list[str]] = {}
    for trial in wanted.trials.values():
        groups.setdefault(trial.group, []).append(trial.trial_id)
    return {trial_id: place for ids in groups.values() for place, trial_id in enumerate(sorted(ids))}


def _on_curve(place: list[int]) -> int:
    """Where a cell of a matrix of any dimension lies on the Z-order curve: its indices' bits, interleaved."""
    code = 0
    for bit in reversed(range(max(place).bit_length())):
        for index in place:
            code = code << 1 | index >> bit & 1
    return code


def _id(each: Trial | Job) -> str:
    match each:
        case Trial():
            return each.trial_id
        case AlignmentJob():
            return each.alignment_id
        case _:
            return each.barrier_id
