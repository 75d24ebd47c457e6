"""The frontier of a run: the work that is left, and the part of it whose inputs are there."""

import heapq
from collections.abc import Callable, Container, Hashable, Iterable, Iterator
from functools import cache
from typing import Literal

from raysweep.plan.identity import AlignmentJob, BarrierJob, Trial
from raysweep.plan.lost import Input, inputs_of
from raysweep.plan.plan import Desired, Done, Todo
from raysweep.sweep.train import Training

Job = AlignmentJob | BarrierJob
# Keys of `train` in which trials that are trained together may differ.
_OWN = {"epochs", "learning_rate", "weight_decay", "schedule", "milestones", "gamma", "warmup"}
_OWN |= {"init", "init_seed", "data_seed", "spawn_at", "spawn_replicate"}
_Moments = tuple[tuple[int, int], ...]  # level and step of each network
_Position = tuple[_Moments, int]  # the moments of training, and the position on the curve through all pairs


class Frontier:
    """Is notified of what is finished (`level_done`, `aligned`) and hands out what can be done.

    Every trial and every job is handed out once (`take_trials`, `take`). `objects` names the object in which
    each finished alignment lies.
    """

    def __init__(self, wanted: Desired, present: Done, work: Todo) -> None:
        self._wanted = wanted
        self.objects = dict(present.alignments)
        self._here: set[Input] = {*present.records, *present.alignments}
        self._missing: dict[str, int] = {}
        self._followers: dict[Input, list[Trial | Job]] = {}
        self._order: dict[str, int] = {}
        self._positions = _positions(wanted)
        self._trials: dict[Hashable, list[tuple[int, int, Trial]]] = {}
        self._jobs: dict[Literal["alignment", "barrier"], dict[str, list[tuple[_Position, int, Job]]]] = {
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

    def aligned(self, alignment_ids: Iterable[str], name: str) -> None:
        """These alignments can be read from the object of this name."""
        for alignment_id in alignment_ids:
            self.objects[alignment_id] = name
            self._arrived(alignment_id)

    def seconds(self, seconds_of: Callable[[Job], float]) -> float:
        """Return how long the ready jobs take, if each of a setting takes as long as the first of them."""
        heaps = (heap for settings in self._jobs.values() for heap in settings.values())
        return sum(len(heap) * seconds_of(heap[0][-1]) for heap in heaps)

    @property
    def ready_trials(self) -> int:
        """The number of trials whose inputs are there."""
        return sum(map(len, self._trials.values()))

    def take_trials(self, most: int) -> list[Trial]:
        """Return at most `most` trials that can be trained together, and whose inputs are there.

        The largest trials come first, so that no long trial is left for the end.
        """
        alike = min(self._trials, key=lambda each: self._trials[each][0][:2])
        heap = self._trials[alike]
        found = [heapq.heappop(heap)[-1] for _ in range(min(most, len(heap)))]
        if not heap:
            del self._trials[alike]
        return found

    def take(
        self, size_of: Callable[[Job], int], before: str | None, used: Container[str | None]
    ) -> tuple[Job, ...]:
        """Return jobs of one kind and setting, as many as `size_of` the first; empty where none can be done.

        Alignments come first, because barriers wait for them. A worker continues with the setting `before`,
        whose checkpoints it holds. Next come settings that no worker has `used` last, with the widest
        networks first. The jobs of a setting come by the moments of training, and at each moment in the order
        of a curve that fills the matrix of the setting's pairs square by square: any n consecutive jobs read
        about 2 sqrt(n) networks.
        """
        settings = self._jobs["alignment"] or self._jobs["barrier"]
        if not settings:
            return ()
        setting = (
            before
            if before in settings
            else min(settings, key=lambda name: (name in used, *self._size(settings[name])))
        )
        assert setting is not None
        heap = settings[setting]
        count = min(len(heap), size_of(heap[0][-1]))
        jobs = tuple(heapq.heappop(heap)[-1] for _ in range(count))
        if not heap:
            del settings[setting]
        self.ready -= count
        return jobs

    def waiting(self) -> Iterator[tuple[str, str, str]]:
        """Yield the kind and the id of each trial and job that waits for inputs, and in words for which.

        Where an input waits itself, the words go on to what it waits for, down to what has failed.
        """
        lacked: dict[str, dict[str, str]] = {}  # of what waits: the ids of what it lacks, with their kinds
        kinds: dict[str, str] = {}
        for required, followers in self._followers.items():
            name, kind = (required, "alignment") if isinstance(required, str) else (required[0], "trial")
            for each in followers:
                kinds[_id(each)] = _kind(each)
                lacked.setdefault(_id(each), {})[name] = kind

        @cache
        def words(identity: str) -> str:
            return " and ".join(
                f"{kind} {name}, which {f'requires {words(name)}' if name in lacked else 'failed'}"
                for name, kind in lacked[identity].items()
            )

        for identity, kind in kinds.items():
            yield kind, identity, words(identity)

    def _enter(self, each: Trial | Job) -> None:
        missing = set(inputs_of(self._wanted, each)) - self._here
        for required in missing:
            self._followers.setdefault(required, []).append(each)
        self._missing[_id(each)] = len(missing)
        if not missing:
            self._release(each)

    def _arrived(self, finished: Input) -> None:
        self._here.add(finished)
        for each in self._followers.pop(finished, []):
            self._missing[_id(each)] -= 1
            if not self._missing[_id(each)]:
                self._release(each)

    def _release(self, each: Trial | Job) -> None:
        order = self._order[_id(each)]
        if isinstance(each, Trial):
            heap = self._trials.setdefault(together(each.training), [])
            heapq.heappush(heap, (-self._cost(each), order, each))
            return
        kind: Literal["alignment", "barrier"] = "alignment" if isinstance(each, AlignmentJob) else "barrier"
        jobs = self._jobs[kind].setdefault(each.setting, [])
        heapq.heappush(jobs, (self._position(each), order, each))
        self.ready += 1

    def _position(self, job: Job) -> _Position:
        moments = tuple((network.level, network.step) for network in job.networks)
        return moments, _on_curve([self._positions[network.trial_id] for network in job.networks])

    def _size(self, heap: list[tuple[_Position, int, Job]]) -> tuple[int, int]:
        _, order, job = heap[0]
        widths = (self._wanted.trials[network.trial_id].training.width for network in job.networks)
        return -max(widths), order

    def _cost(self, trial: Trial) -> int:
        extent = self._wanted.extents[trial.trial_id]
        return trial.training.width * len(extent.levels) * (extent.total - extent.start)


def together(training: Training) -> Hashable:
    """Return what trials that share a process have in common: what is compiled, and the data set."""
    return tuple(value for key, value in training if key not in _OWN)


def _positions(wanted: Desired) -> dict[str, int]:
    """The row of every trial in the matrix of its setting's pairs, whose networks are sorted by their ids."""
    settings: dict[str, list[str]] = {}
    for trial in wanted.trials.values():
        settings.setdefault(trial.setting, []).append(trial.trial_id)
    return {trial_id: row for ids in settings.values() for row, trial_id in enumerate(sorted(ids))}


def _on_curve(cell: list[int]) -> int:
    """The position of a cell of a matrix on the Z-order curve: the bits of its indices, interleaved."""
    code = 0
    for bit in reversed(range(max(cell).bit_length())):
        for index in cell:
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


def _kind(each: Trial | Job) -> str:
    match each:
        case Trial():
            return "trial"
        case AlignmentJob():
            return "alignment"
        case _:
            return "barrier"
