"""A run: trains, aligns and compares whatever has its inputs until nothing is left, then publishes."""

import contextlib
import time
from collections.abc import Container, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, replace
from functools import cache
from typing import TYPE_CHECKING

from raysweep.cluster.events import Listener
from raysweep.cluster.imports import import_networks
from raysweep.cluster.tile_sizing import TileSizing
from raysweep.interruption import interrupted, orderly
from raysweep.plan.desired import Desired
from raysweep.plan.done import Done, done
from raysweep.plan.fitting import outdated_words
from raysweep.plan.frontier import Frontier
from raysweep.plan.identity import AlignmentJob, BarrierJob
from raysweep.plan.todo import UNFIT, Todo, todo
from raysweep.store.compaction import compact
from raysweep.store.files import CorruptObject, Files
from raysweep.store.resume_points import ResumePoints
from raysweep.store.trials import TrialStore
from raysweep.tables.failures import Failure
from raysweep.tables.publishing import publish_tables
from raysweep.tables.schemas import read_table

if TYPE_CHECKING:
    from raysweep.cluster.tile_source import Landed
    from raysweep.work.inputs import TrialTask
    from raysweep.work.tile import Tile


RESUME_POINTS = 5.0  # seconds that an interrupted run leaves its trials to note resume points
LOOK = 5.0  # seconds between two looks at what is in use, and at nodes that have joined
ROUNDS = 10  # of jobs whose inputs the round before has replaced: chains of inputs are shorter
ELSEWHERE = "was trained, but is not stored where this driver looks; do all nodes see the same root?"
PUBLICATION = 10.0  # seconds that an interruption leaves a publication that is under way


def run_sweep(
    files: Files,
    wanted: Desired,
    present: Done,
    work: Todo,
    address: str | None,
    listener: Listener,
    beside: AbstractContextManager[object] | None = None,
) -> list[Failure]:
    """Do the remaining work, publish the tables (even when interrupted), and return the failures.

    `work` is what `present` leaves to do. `beside` is entered while the work goes on, and left before the
    tables are published.
    """
    run = _Run(files, wanted, listener)
    run.failures += [Failure(key, "trial", **asdict(found)) for key, found in work.diverged.items()]
    run.failures += _blocked(work.lost)
    _drop_resume_points(files, wanted, work)
    now: Done | None = None
    try:
        if work:
            with beside or nullcontext():
                now = run.stages(present, work, address)
        else:
            now = present
    finally:
        with orderly(PUBLICATION):
            run.failures += publish_tables(files, wanted, now or done(wanted, files), run.failures)
    return run.failures


def _drop_resume_points(files: Files, wanted: Desired, work: Todo) -> None:
    """Remove the resume points of what is finished but whose processes were killed after their last commit.

    In object storage, where this takes several requests a trial, those trials are passed over that were
    finished when the tables were last published.
    """
    points = ResumePoints(files)
    aligned = set(points.ids()) - {job.alignment_id for job in work.alignments}
    files.at_once(points.drop, sorted(aligned & wanted.alignments.keys()))
    ended = wanted.trials.keys() - {trial.trial_id for trial in work.trials}
    if files.directory is None:
        with contextlib.suppress(CorruptObject):  # then all tables are made again, and all trials looked at
            ended -= set(read_table(files, wanted.sweep.name, "trials", ["trial_id"]).column(0).to_pylist())
    files.at_once(TrialStore(files).drop_resume, sorted(ended))


class _Run:
    """One run of a sweep.

    It is the source both of Tune's trials and of the pool's tiles, which run at the same time: each committed
    level and each finished alignment may complete the inputs of other jobs.
    """

    def __init__(self, files: Files, wanted: Desired, listener: Listener) -> None:
        self._files, self._wanted, self._listener = files, wanted, listener
        self._sections = wanted.sweep.sections
        self._looked = 0.0
        self._sizing = TileSizing(self._sections.resources.tile_seconds)
        self.failures: list[Failure] = []

    def stages(self, present: Done, work: Todo, address: str | None) -> Done:
        """Run all stages in a Ray session until no work with inputs is left, and return what is done then."""
        import ray

        from raysweep.cluster.nodes import NodeCheck
        from raysweep.cluster.session import ray_session
        from raysweep.cluster.suspects import Suspects

        self._suspects = Suspects(self._listener)
        may_grow = address is not None
        own = not may_grow and not ray.is_initialized()  # its one node is this machine
        with ray_session(address, self._listener.waits), closing(NodeCheck(self._files)) as self._nodes:
            if not own:
                self._nodes.check_all()
            self._check_needs(work, may_grow)
            if import_networks(self._files, self._wanted, self._listener):
                present = done(self._wanted, self._files)
                work = todo(self._wanted, present)
            for _ in range(ROUNDS):
                self._process_jobs(present, work, may_grow)
                if not interrupted():
                    compact(self._files)
                before, present = present, done(self._wanted, self._files)
                self._tell_replaced(before, present)
                left = todo(self._wanted, present)
                self._note_lost(left, present)
                work = self._unfit(left, present)
                if interrupted() or not work:
                    break
                if work.trials:
                    self._listener.waits(f"{outdated_words(work.outdated)}; they are trained again")
                if jobs := len(work.alignments) + len(work.barriers):
                    self._listener.waits(f"{jobs:,} {UNFIT}")
            else:
                self._leave(work)
        return present

    def _leave(self, work: Todo) -> None:
        """Record that work is left because its inputs are replaced in every round, by another run perhaps."""
        error = f"not started: its inputs have been replaced in {ROUNDS} rounds; the same command goes on"
        left = {
            "trial": [trial.trial_id for trial in work.trials],
            "alignment": [job.alignment_id for job in work.alignments],
            "barrier": work.barriers.barriers.some(work.barriers.places),
        }
        self.failures += [Failure(key, what, error, 0, "") for what, keys in left.items() for key in keys]

    def _tell_replaced(self, before: Done, present: Done) -> None:
        """Tell which levels have been trained again to other bits than those that were stored before."""
        for level, record in before.stale.items():
            now = present.records.get(level)
            if now and now.contradicts(record):
                reason = "the machine or its libraries differ from those of the first time"
                if level in before.outdated:
                    reason = f"{' and '.join(before.outdated[level])} had been replaced"
                which = f"trial {level[0]}, level {level[1]}"
                self._listener.waits(f"{which}: was trained again to other weights, because {reason}")

    def _note_lost(self, left: Todo, present: Done) -> None:
        """Record a failure for every trial of which nothing is here, although this run has trained it.

        Others may be left because their checkpoints have been damaged, which has ended what reads them.
        """
        if interrupted():
            return
        store, known = TrialStore(self._files), {failure.id for failure in self.failures}
        known |= {trial_id for trial_id, _ in present.outdated}
        lost = [
            t.trial_id for t in left.trials if t.trial_id not in known and not store.has_config(t.trial_id)
        ]
        self.failures += [Failure(trial_id, "trial", ELSEWHERE, 1, "") for trial_id in lost]

    def _unfit(self, work: Todo, present: Done) -> Todo:
        """Return the work whose inputs this run has replaced by others, but for what has failed."""
        failed = {failure.id for failure in self.failures}
        chosen, outdated = present.unfit - failed, {trial_id for trial_id, _ in present.outdated}
        return replace(
            work,
            trials=[trial for trial in work.trials if trial.trial_id in outdated - failed],
            alignments=[job for job in work.alignments if job.alignment_id in chosen],
            barriers=work.barriers.only(chosen),
        )

    def _check_needs(self, work: Todo, may_grow: bool) -> None:
        """Raise `UserError` when the nodes cannot do the work; a cluster that may grow is waited for."""
        from raysweep.cluster.capacity import check_needs, lacking

        resources = self._sections.resources
        if not may_grow:
            check_needs(resources, work)
        for problem in lacking(resources, work):
            self._listener.waits(f"{problem}; waiting for one that has")

    def _process_jobs(self, present: Done, work: Todo, may_grow: bool) -> None:
        """Train, align and compare until nothing that is left has its inputs."""
        from raysweep.cluster.pool import Pool

        self._frontier = Frontier(self._wanted, present, work)
        for stage, count in work.stages().items():
            self._listener.stage(stage, count)
        self._pool = Pool(self._files.root, self._sections, self, self._listener, self._suspects, may_grow)
        try:
            with orderly(RESUME_POINTS):
                while not interrupted() and (self.ready_trials or self._pool.busy):
                    if self.ready_trials:
                        self._train(len(work.trials))
                    else:
                        self._pool.turn(1.0)
                        self._look_around()
        finally:
            self._pool.close()
            self.failures += self._pool.failures
        self._report_blocked()

    def _train(self, count: int) -> None:
        from raysweep.cluster.trials import train_trials

        train_trials(
            self._files.root, self._sections, count, self, self._listener, self._suspects, self.failures
        )

    @property
    def ready_trials(self) -> int:
        return 0 if interrupted() else self._frontier.ready_trials

    def tasks(self, most: int) -> "list[TrialTask]":
        from raysweep.work.inputs import TrialTask

        found = []
        for trial in self._frontier.take_trials(most):
            extent = self._wanted.extents[trial.trial_id]
            applied = (each.alignment_id for each in extent.mask_permutations.values())
            found.append(TrialTask(trial, extent, self._objects(applied)))
        return found

    def level_done(self, trial_id: str, level: int) -> None:
        self._frontier.level_done(trial_id, level)

    def turn(self, waiting: dict[str, float] | None) -> None:
        self._pool.turn(0, waiting)
        self._look_around()

    def _look_around(self) -> None:
        """Tell the listener now and then what of the cluster is in use, and ask nodes that have joined."""
        from raysweep.cluster.capacity import in_use

        if time.monotonic() - self._looked > LOOK:
            self._looked = time.monotonic()
            self._listener.uses(in_use())
            self._nodes.check_new(self._suspects)

    @property
    def tiles(self) -> int:
        return self._sizing.tiles(self._frontier.ready)

    @property
    def ready(self) -> int:
        return self._frontier.ready

    @property
    def seconds(self) -> float:
        return self._frontier.seconds(lambda job: self._sizing.seconds(_kind(job)))

    def take(
        self, workers: int, lap: float, before: str | None, used: Container[str | None]
    ) -> "Tile | None":
        from raysweep.work.tile import Tile

        def size_of(job: AlignmentJob | BarrierJob) -> int:
            at_once = self._sections.alignments_at_once if isinstance(job, AlignmentJob) else 1
            return self._sizing.size(_kind(job), self._frontier.ready, workers, lap, at_once)

        jobs = self._frontier.take(size_of, before, used)
        if not jobs:
            return None
        networks = {network.trial_id for job in jobs for network in job.networks}
        found = (each for job in jobs if isinstance(job, BarrierJob) for each in job.comparison.alignments)
        trials = {trial_id: self._wanted.trials[trial_id] for trial_id in networks}
        return Tile(jobs, trials, self._objects(found))

    def landed(self, tiles: "Sequence[Landed]") -> None:
        for each in tiles:
            self._sizing.record(_kind(each.tile.jobs[0]), len(each.tile.jobs), each.seconds)
        aligned = [each for each in tiles if each.tile.what == "alignment"]
        self._frontier.aligned({key: each.name for each in aligned for key in each.tile.ids})

    def _objects(self, alignments: Iterable[str]) -> dict[str, str]:
        return {alignment: self._frontier.objects[alignment] for alignment in alignments}

    def _report_blocked(self) -> None:
        """Record a failure for every trial and job whose inputs failed."""
        self.failures += _blocked(self._frontier.waiting())


def _blocked(jobs: Iterable[tuple[str, str, str]]) -> Iterator[Failure]:
    """Yield the failures of what was never started, from kinds, ids and, in words, the inputs it requires.

    Those that lack the same share the text, because there may be millions.
    """
    said = cache("not started: it requires {}".format)
    yield from (Failure(identity, what, said(inputs), 0, "") for what, identity, inputs in jobs)


def _kind(job: AlignmentJob | BarrierJob) -> Hashable:
    """Return a key that jobs share when they take about the same time."""
    return type(job), job.setting, len(job.networks)
