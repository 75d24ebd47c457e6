"""How far a sweep is: its jobs, its failures, and, of a run in progress, its rate, time left and hours.

`raysweep status` and the page under the root both show a `Standing`. The counts are those of the store. What
only the run knows is in sweeps/<name>/progress.json, which it writes whenever it publishes its tables.
"""

import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pyarrow.compute as pc

from raysweep.errors import CorruptObject, UserError
from raysweep.plan.barriers_left import BarriersLeft
from raysweep.plan.cost.estimate import estimate
from raysweep.plan.desired import Desired
from raysweep.plan.done import Done
from raysweep.plan.record import finished, read_record, sweep_names
from raysweep.plan.todo import Todo, todo
from raysweep.store.files import Files
from raysweep.sweep.resources import Resources
from raysweep.tables.schemas import read_table

SILENT = 3  # publications that a run may miss before it counts as lost
KINDS = ("trials", "alignments", "barriers")


@dataclass(frozen=True)
class Hours:
    """Hours of processors that the results took, and those that the rest will take (None: not known yet)."""

    spent: float
    left: float | None

    def __str__(self) -> str:
        return f"{self.spent:.3g} spent, {'unknown' if self.left is None else f'{self.left:.3g}'} left"


@dataclass(frozen=True)
class Progress:
    """What a run in progress knows: `time` of writing (s since 1970), seconds until the next, and the rest.

    `rates` are jobs per hour by kind, and `left` the seconds until the end (None: not known yet).
    """

    time: float
    every: float
    rates: dict[str, float]
    left: float | None
    cpu: Hours
    gpu: Hours

    @property
    def lost(self) -> bool:
        """Whether the run has given no sign of life for so long that it must have been killed."""
        return time.time() > self.time + SILENT * self.every + 60

    def __str__(self) -> str:
        if self.lost:
            return f"no sign of life from its run for {_duration(time.time() - self.time)}"
        rates = ", ".join(f"{rate:,.0f} {kind}" for kind, rate in self.rates.items() if rate)
        parts = [f"{rates} an hour"] if rates else []
        parts.append("time left unknown" if self.left is None else f"about {_duration(self.left)} left")
        parts.append(f"CPU-hours {self.cpu}")
        if self.gpu.spent or self.gpu.left:
            parts.append(f"GPU-hours {self.gpu}")
        return f"running, {'; '.join(parts)}"


@dataclass(frozen=True)
class Standing:
    """How far a sweep is: done and wanted jobs by kind, failures, and the progress of its run, if any.

    `problem` says why the rest is not known.
    """

    sweep: str
    jobs: dict[str, tuple[int, int]]
    failures: int
    progress: Progress | None = None
    problem: str = ""

    @property
    def complete(self) -> bool:
        """Whether all that the sweep asks for is done."""
        return not self.problem and all(done == total for done, total in self.jobs.values())

    def __str__(self) -> str:
        if self.problem:
            return f"{self.sweep}: {self.problem}"
        counts = [f"{kind} {done}/{total}" for kind, (done, total) in self.jobs.items()]
        text = f"{self.sweep}: {', '.join(counts)}, failures {self.failures}"
        return f"{text}; {self.progress}" if self.progress else text


def standings(files: Files) -> list[Standing]:
    """Return how far every sweep under a root is, by its record."""
    return [_standing(files, name) for name in sweep_names(files)]


def _standing(files: Files, name: str) -> Standing:
    try:
        record = read_record(files, name)
        left = finished(files, record).left(record)
        attempts = read_table(files, name, "failures", ["attempts"]).column("attempts").to_pylist()
    except UserError as error:
        return Standing(name, {}, 0, problem=str(error))
    except CorruptObject as error:
        return Standing(name, {}, 0, problem=f"{error}; raysweep run writes it again")
    jobs = {kind: (total - left[kind], total) for kind, total in record.counts().items()}
    return Standing(name, jobs, sum(map(bool, attempts)), _read_progress(files, name))


class Meter:
    """Measures the progress of a run from its published tables, which it reads at every publication."""

    def __init__(self, files: Files, wanted: Desired) -> None:
        self._files, self._wanted = files, wanted
        jobs = (
            list(wanted.trials.values()),
            list(wanted.alignments.values()),
            BarriersLeft.all_of(wanted.barriers),
        )
        self._all = Todo(*jobs, recomputed=0)
        self._seen: deque[tuple[float, dict[str, int], float]] = deque(maxlen=10)

    def write(self, present: Done) -> None:
        """Write the progress of the run, of which the store now holds `present`."""
        work, now = todo(self._wanted, present), time.monotonic()  # a clock may be set meanwhile
        counts = {kind: count - work.counts()[kind] for kind, count in self._wanted.counts().items()}
        spent = {kind: self._seconds(kind) for kind in KINDS}
        left = self._left(work, counts, spent)
        self._seen.append((now, counts, sum(spent.values())))
        then, before, used = self._seen[0]
        passed = now - then
        rates = {kind: 3600 * (counts[kind] - before[kind]) / passed if passed else 0.0 for kind in KINDS}
        parallel = (sum(spent.values()) - used) / passed if passed else 0.0
        rest = sum(seconds or 0.0 for seconds in left.values())
        known = None not in left.values() and (parallel > 0 or not rest)
        resources = self._wanted.sweep.sections.resources
        progress = Progress(
            time.time(),
            resources.publish_seconds,
            rates,
            rest / (parallel or 1.0) if known else None,
            *(_hours(resources, spent, left, of) for of in ("cpu", "gpu")),
        )
        self._files.put(_name(self._wanted.sweep.name), json.dumps(asdict(progress)).encode())

    def _seconds(self, kind: str) -> float:
        """The seconds of processes that the results of one kind took; a barrier has a row for each split."""
        name = self._wanted.sweep.name
        if kind != "barriers":
            return float(pc.sum(read_table(self._files, name, kind, ["seconds"]).column(0)).as_py() or 0)
        rows = read_table(self._files, name, kind, ["barrier_id", "seconds"])
        once = rows.group_by("barrier_id").aggregate([("seconds", "max")])
        return float(pc.sum(once.column("seconds_max")).as_py() or 0)

    def _left(self, work: Todo, done: dict[str, int], spent: dict[str, float]) -> dict[str, float | None]:
        """The seconds that are left by kind, if what is left is as fast as what is done."""
        whole, rest = estimate(self._wanted, self._all), estimate(self._wanted, work)
        size = {
            "trials": (whole.training_flops, rest.training_flops),
            "alignments": (whole.alignment_seconds, rest.alignment_seconds),
            "barriers": (whole.barrier_flops, rest.barrier_flops),
        }
        return {
            kind: 0.0 if not part else spent[kind] * part / (total - part) if done[kind] else None
            for kind, (total, part) in size.items()
        }


def end_progress(files: Files, sweep: str) -> None:
    """Remove the progress of a run, because it ends."""
    files.delete(_name(sweep))


def _hours(
    resources: Resources, spent: Mapping[str, float], left: Mapping[str, float | None], of: str
) -> Hours:
    """Hours of the CPUs or GPUs of the processes; trials that are packed share those of one process."""
    trial, align = getattr(resources.trial, of), getattr(resources.align, of)
    each = {"trials": trial / resources.trial.packed, "alignments": align, "barriers": align}
    used = sum(spent[kind] * each[kind] for kind in KINDS) / 3600
    if any(left[kind] is None and each[kind] for kind in KINDS):
        return Hours(used, None)
    return Hours(used, sum((left[kind] or 0.0) * each[kind] for kind in KINDS) / 3600)


def _read_progress(files: Files, sweep: str) -> Progress | None:
    """Return what the run of a sweep wrote last; None where no run is at work, or it wrote something else."""
    content = files.find(_name(sweep))
    if content is None:
        return None
    try:
        found = json.loads(content)
        hours = {name: Hours(**found.pop(name)) for name in ("cpu", "gpu")}
        return Progress(**{**found, **hours})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _name(sweep: str) -> str:
    return f"sweeps/{sweep}/progress.json"


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
