"""The engine at work on networks that nobody trained, in a process of its own, and what its workers note.

`python -m tests.benchmarks.engine CASE` carries out one case, given as JSON, and prints what it found.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import ray
import torch

from raysweep.cluster.events import Listener
from raysweep.cluster.run import run_sweep
from raysweep.models.initialise import initialised
from raysweep.plan.barrier_table import Barriers
from raysweep.plan.desired import Desired, desired
from raysweep.plan.done import done
from raysweep.plan.identity import AlignmentJob, BarrierJob, data_config
from raysweep.plan.probes import model_config, probe_data
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.store.records import LevelRecord, Metric
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.tables.failures import Failure
from tests.benchmarks.watched import WatchedWorker, notes_of

PERTURBATION = 0.01  # of the weights, from a checkpoint to the next


@dataclass(frozen=True)
class Case:
    """Networks of one architecture on the digits, all pairs (or a ring of them) at every checkpoint."""

    root: str
    networks: int
    checkpoints: int = 8  # two and more
    model: str = "mlp"
    width: int = 64
    workers: int = 1
    tile_seconds: float = 2.0
    cache_mb: int = 1000
    alphas: int = 5
    ring: bool = False
    method: str = "weight_matching"


@dataclass(frozen=True)
class Found:
    """What the driver used, from its first tile to its last, and what the workers noted, by process.

    Memory in MB: `planned` when the plan was made, `peak` in all. `processor`: seconds of the driver.
    """

    pairs: int
    planned: float
    peak: float
    processor: float
    notes: list[list[dict[str, Any]]]

    @property
    def tiles(self) -> int:
        return sum(map(len, self.notes))

    def total(self, key: str) -> float:
        """Sum a count over all tiles."""
        return float(sum(tile[key] for each in self.notes for tile in each))

    @property
    def cost(self) -> float:
        """Seconds of the workers' processors to align a pair and compare it, once they are warm.

        The first tiles of a worker, of either kind, load data and trace the network; they do not count.
        """
        seconds, jobs = {"alignments": 0.0, "barriers": 0.0}, {"alignments": 0, "barriers": 0}
        for each in self.notes:
            for stage in seconds:
                for tile in [tile for tile in each if tile["stage"] == stage][1:]:
                    seconds[stage] += tile["processor"]
                    jobs[stage] += tile["jobs"]
        return sum(seconds[stage] / jobs[stage] for stage in seconds)

    @property
    def seconds(self) -> float:
        """From the beginning of the first tile to the end of the last."""
        return self._end - min(each[0]["began"] for each in self.notes)

    @property
    def busy(self) -> float:
        """Share of the time, from the first tile of each worker to the end of all, at tiles."""
        return self._share(0.0)

    @property
    def computing(self) -> float:
        """The same, less reading and writing."""
        return self._share(1.0)

    @cached_property
    def _end(self) -> float:
        return float(max(each[-1]["ended"] for each in self.notes))

    def _share(self, files: float) -> float:
        tiles = [tile for each in self.notes for tile in each]
        worked = sum(tile["ended"] - tile["began"] - files * tile["files"] for tile in tiles)
        return float(worked / sum(self._end - each[0]["began"] for each in self.notes))


def planned(case: Case) -> Desired:
    """The plan; a pair is aligned and compared at the same checkpoint."""
    last = case.checkpoints - 1
    train = {"dataset": "digits", "model": case.model, "width": case.width, "epochs": last}
    train |= {"replicates": case.networks, "checkpoints": {"every": "1ep"}}
    train |= {"norm": "none" if case.model == "mlp" else "layer"}
    compare: dict[str, Any] = {
        "kinds": ["direct"],
        "splits": ["test"],
        "alphas": case.alphas,
        "trajectory": {},
    }
    resources = {"workers": case.workers, "tile_seconds": case.tile_seconds, "cache_mb": case.cache_mb}
    sections = {"name": "engine", "train": train, "compare": compare, "resources": resources}
    sections |= {"align": {"methods": [case.method]}}
    wanted = desired(check("engine", sections | {"tracking": {"enabled": False}}))
    kept = {}
    order = {trial_id: place for place, trial_id in enumerate(sorted(wanted.trials))}
    for key, job in wanted.alignments.items():
        one, other = (order[network.trial_id] for network in job.networks)
        if not case.ring or (other - one) % case.networks in (1, case.networks - 1):
            kept[key] = job
    chosen = np.array([_at_its_moment(job, kept) for job in wanted.barriers.values()])
    every = wanted.barriers
    parts = [part.only(chosen[rows]) for part, rows in every.by_part(np.arange(len(every)))]
    barriers = Barriers(every.networks, every.permutations, parts, every.measures)
    return replace(wanted, alignments=kept, barriers=barriers, agreements={})


def _at_its_moment(job: BarrierJob, kept: dict[str, AlignmentJob]) -> bool:
    """Whether a pair is compared at the checkpoint at which it was aligned."""
    found = kept.get(job.comparison.alignments[0])
    return found is not None and set(found.networks) == set(job.networks)


def fill(case: Case) -> None:
    """Commit checkpoints for all trials: of an initialisation, each a little further from it."""
    wanted, store = planned(case), TrialStore(Files(case.root))
    for trial in wanted.trials.values():
        extent = wanted.extents[trial.trial_id]
        facts = probe_data(data_config(trial.training, 0).whole(), wanted.sweep.sections.train)
        config = model_config(trial.training, facts.shape, facts.classes)
        model = initialised(config, trial.training.init, trial.init_seed)
        generator, written = torch.Generator().manual_seed(trial.init_seed), {}
        with torch.no_grad():
            for step in sorted(extent.checkpoints):
                written[step] = store.write_checkpoint(trial.trial_id, 0, step, model.state_dict())
                for parameter in model.parameters():
                    noise = torch.randn(parameter.shape, generator=generator)
                    parameter.add_(noise, alpha=PERTURBATION)
        metrics = tuple(Metric(extent.total, 0.0, split, 0.0, 0.0, 0.0) for split in ("train", "test"))
        store.commit(trial.trial_id, 0, LevelRecord(extent.total, metrics=metrics, checkpoints=written))


def checkpoint_megabytes(root: str) -> float:
    """How large the largest checkpoint of a filled root is."""
    return max(path.stat().st_size for path in Path(root).rglob("*.safetensors")) / 1e6


def carried_out(case: Case) -> Found:
    """Do the case, from nothing but checkpoints, in a process of its own."""
    for folder in ("results", "index", "sweeps"):
        shutil.rmtree(Path(case.root) / folder, ignore_errors=True)
    notes = notes_of(case.root)
    shutil.rmtree(notes, ignore_errors=True)
    notes.mkdir(parents=True)
    command = [sys.executable, "-m", "tests.benchmarks.engine", json.dumps(asdict(case))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{case}: {done.stderr}")
    lines = [path.read_text().splitlines() for path in notes.glob("[0-9]*")]
    found = json.loads(done.stdout.splitlines()[-1])
    return Found(**found, notes=[[json.loads(line) for line in each] for each in lines])


class Clock(Listener):
    """Listens from the first stage to the last job; seconds of the processor until then."""

    def __init__(self) -> None:
        self.began: float | None = None
        self.ended = 0.0
        self.left = 0

    def stage(self, name: str, total: int) -> None:
        self.left += total
        self.began = self.began or time.process_time()

    def advance(self, stage: str, jobs: int) -> None:
        self.left -= jobs
        if not self.left:
            self.ended = time.process_time()

    def uses(self, resources: dict[str, tuple[float, float]]) -> None:
        pass

    def failed(self, failure: Failure) -> None:
        raise RuntimeError(failure)

    def spent(self) -> float:
        assert self.began is not None
        return self.ended - self.began


def resident() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _drive(case: Case) -> None:
    wanted, files, clock = planned(case), Files(case.root), Clock()
    present = done(wanted, files)
    work = todo(wanted, present)
    if work.trials:
        raise RuntimeError(f"{len(work.trials)} trials have no checkpoints")
    before = resident()
    actor = ray.remote(WatchedWorker)
    ray.init(address="local", num_cpus=case.workers, include_dashboard=False, log_to_driver=False)
    with mock.patch("raysweep.cluster.pool.AlignWorker", actor):
        failures = run_sweep(files, wanted, present, work, None, clock)
    ray.shutdown()
    if failures:
        raise RuntimeError(f"{len(failures)} failures: {failures[0]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    found = {"pairs": len(wanted.barriers), "planned": before, "peak": peak, "processor": clock.spent()}
    print(json.dumps(found))


if __name__ == "__main__":
    _drive(Case(**json.loads(sys.argv[1])))
