"""The frontier of a run: the work that is left, and the part of it whose inputs are there."""

import heapq
from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence
from functools import cache

from raysweep.plan.desired import Desired
from raysweep.plan.done import Done
from raysweep.plan.identity import Trial
from raysweep.plan.lacking import Input, Lacking
from raysweep.plan.lost import inputs_of
from raysweep.plan.queue import AlignmentRows, Job, Queue
from raysweep.plan.todo import Todo
from raysweep.sweep.train import Training

# Keys of `train` in which trials that share a process may differ.
_MAY_DIFFER = {"epochs", "learning_rate", "weight_decay", "schedule", "milestones", "gamma", "warmup"}
_MAY_DIFFER |= {"init", "init_seed", "data_seed", "spawn_at", "spawn_replicate"}


class Frontier:
    """Is notified of what is finished (`level_done`, `aligned`) and hands out what can be done.

    Every trial and every job is handed out once (`take_trials`, `take`). `objects` names the object in which
    each finished alignment lies.
    """

    def __init__(self, wanted: Desired, present: Done, work: Todo) -> None:
        self._wanted = wanted
        self.objects = dict(present.alignments)
        self._here: set[Input] = {*present.records, *present.alignments}
        rows = _rows(wanted)
        self._aligned, self._compared = AlignmentRows(work.alignments), work.barriers.barriers
        self._alignments = Queue(self._aligned, self._here, rows)
        self._barriers = Queue(work.barriers, self._here, rows)
        self._widths: dict[str, int] = {}
        self._order = {trial.trial_id: order for order, trial in enumerate(work.trials)}
        self._missing: dict[str, int] = {}
        self._followers: dict[Input, list[Trial]] = {}
        self._trials: dict[Hashable, list[tuple[int, int, Trial]]] = {}
        for trial in work.trials:
            self._enter(trial)

    def level_done(self, trial_id: str, level: int) -> None:
        """A level of a trial, with all its checkpoints, can be read."""
        self._arrived([(trial_id, level)])

    def aligned(self, objects: Mapping[str, str]) -> None:
        """These alignments can be read from the objects of these names."""
        self.objects.update(objects)
        self._arrived([*objects])

    @property
    def ready(self) -> int:
        """The number of alignments and barriers that wait for nothing but a worker."""
        return self._alignments.count + self._barriers.count

    def seconds(self, seconds_of: Callable[[Job], float]) -> float:
        """Return how long the ready jobs take, if each of a setting takes as long as the first of them."""
        return sum(
            count * seconds_of(queue.first(setting))
            for queue in (self._alignments, self._barriers)
            for setting, count in queue.ready.items()
        )

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
        networks first.
        """
        queue = self._alignments if self._alignments.ready else self._barriers
        if not queue.ready:
            return ()
        setting = before
        if setting is None or setting not in queue.ready:
            setting = min(queue.ready, key=lambda name: (name in used, self._size(queue, name)))
        return queue.take(setting, min(queue.ready[setting], size_of(queue.first(setting))))

    def waiting(self) -> Iterator[tuple[str, str, str]]:
        """Yield the kind and the id of each trial and job that waits for inputs, and in words for which.

        Where an input waits itself, the words go on to what it waits for, down to what has failed.
        """
        trials = (self._wanted.trials[key] for key, count in self._missing.items() if count)
        alignments = self._aligned.at(self._alignments.waiting())
        few = [("trial", each.trial_id, inputs_of(self._wanted, each)) for each in trials]
        few += [("alignment", each.alignment_id, inputs_of(self._wanted, each)) for each in alignments]
        lacked = {key: [each for each in inputs if each not in self._here] for _, key, inputs in few}

        @cache
        def words(identity: str) -> str:
            return " and ".join(dict.fromkeys(map(why, lacked[identity])))

        def why(required: Input) -> str:
            kind, name = ("alignment", required) if isinstance(required, str) else ("trial", required[0])
            return f"{kind} {name}, which {f'requires {words(name)}' if name in lacked else 'failed'}"

        for kind, identity, _ in few:
            yield kind, identity, words(identity)
        lacking = Lacking(self._compared, {required: why(required) for required in self._barriers.lacked})
        yield from (("barrier", key, said) for key, said in lacking.of(self._barriers.waiting()))

    def _enter(self, trial: Trial) -> None:
        missing = set(inputs_of(self._wanted, trial)) - self._here
        for required in missing:
            self._followers.setdefault(required, []).append(trial)
        self._missing[trial.trial_id] = len(missing)
        if not missing:
            self._release(trial)

    def _arrived(self, finished: Sequence[Input]) -> None:
        self._here.update(finished)
        for trial in (each for required in finished for each in self._followers.pop(required, ())):
            self._missing[trial.trial_id] -= 1
            if not self._missing[trial.trial_id]:
                self._release(trial)
        self._alignments.arrived(finished)
        self._barriers.arrived(finished)

    def _release(self, trial: Trial) -> None:
        heap = self._trials.setdefault(together(trial.training), [])
        heapq.heappush(heap, (-self._cost(trial), self._order[trial.trial_id], trial))

    def _size(self, queue: Queue, setting: str) -> tuple[int, int]:
        """What settings are ordered by: the widest first, and else in the order of the plan."""
        if setting not in self._widths:
            widths = (self._wanted.trials[n.trial_id].training.width for n in queue.first(setting).networks)
            self._widths[setting] = max(widths)
        return -self._widths[setting], queue.position(setting)

    def _cost(self, trial: Trial) -> int:
        extent = self._wanted.extents[trial.trial_id]
        return trial.training.width * len(extent.levels) * (extent.total - extent.start)


def together(training: Training) -> Hashable:
    """Return what trials that share a process have in common: what is compiled, and the data set."""
    return tuple(value for key, value in training if key not in _MAY_DIFFER)


def _rows(wanted: Desired) -> dict[str, int]:
    """The row of every trial in the matrix of its setting's pairs, whose networks are sorted by their ids."""
    settings: dict[str, list[str]] = {}
    for trial in wanted.trials.values():
        settings.setdefault(trial.setting, []).append(trial.trial_id)
    return {trial_id: row for ids in settings.values() for row, trial_id in enumerate(sorted(ids))}
