"""Small plans carried out in this process, without Ray."""

import os
import signal
from pathlib import Path

from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.identity import data_config
from raysweep.sweep.load import check
from raysweep.sweep.plan import Desired, desired, done, finished, todo
from raysweep.sweep.publishing import publish_tables
from raysweep.version import code_digest
from raysweep.work.data import resident
from raysweep.work.inputs import TrialTask
from raysweep.work.tile import Tile, TileWorker
from raysweep.work.trial import run_trial

BASE = {"dataset": "digits", "width": 6, "epochs": 3, "batch_size": 128, "replicates": 2, "init": "pytorch"}


def plan(prune=None, **train) -> Desired:
    sections = {"name": "s", "train": {**BASE, **train}, "compare": {"kinds": ["unaligned", "direct"]}}
    return desired(check("test", sections | ({"prune": prune} if prune else {})))


class KillingFiles(Files):
    """Kills its own process with signal 9 before or after its nth change of the store."""

    def __init__(self, root: str, change: int, after: bool) -> None:
        super().__init__(root)
        self._left, self._after = change, after

    def put(self, name: str, content: bytes) -> None:
        self._around(lambda: super(KillingFiles, self).put(name, content))

    def delete(self, name: str) -> None:
        self._around(lambda: super(KillingFiles, self).delete(name))

    def _around(self, change) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        change()
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def carry_out(
    wanted: Desired,
    files: Files,
    resume_seconds: float = 0.0,
    report=lambda level, step: None,
    align: bool = True,
) -> None:
    """Train and align in the order of need, like a run does."""
    sections = wanted.sweep.sections
    while True:
        present = done(wanted, files)
        work = todo(wanted, present)
        for trial in work.trials:
            cursor = wanted.cursors[trial.trial_id]
            aligned = all(move.alignment_id in present.alignments for move in cursor.moves.values())
            if aligned and all(finished(wanted, present, needed) for needed in cursor.needs):
                task = TrialTask(trial, cursor, present.alignments)
                data = resident(data_config(trial.training, trial.replicate), None, False, "unit")
                list(run_trial(task, data, TrialStore(files), ResultStore(files), resume_seconds, report))
                break
        else:
            ready = [u for u in work.alignments if present.has(u.networks)]
            if not ready or not align:
                return
            worker = TileWorker(files.root, sections, code_digest())
            worker.run(Tile((ready[0],), wanted.trials))


def compare_all(wanted: Desired, files: Files) -> None:
    """Evaluate the barriers and publish the tables."""
    present, sections = done(wanted, files), wanted.sweep.sections
    worker = TileWorker(files.root, sections, code_digest())
    left = tuple(todo(wanted, present).barriers)
    if left:
        worker.run(Tile(left, wanted.trials, present.alignments))
    publish_tables(files, wanted, done(wanted, files), [])


def killed_at(wanted: Desired, root: Path, change: int, after: bool, act=carry_out) -> bool:
    """Carry a plan out, or do another `act`, in a forked process that dies at its nth change.

    Returns False when it did not get there.
    """
    child = os.fork()
    if child == 0:
        try:
            act(wanted, KillingFiles(str(root), change, after))
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def contents(root: Path) -> dict[str, bytes]:
    """All weights, masks and optimiser states by name."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.safetensors")}


def metrics(wanted: Desired, root: Path) -> list[tuple[object, ...]]:
    store = TrialStore(Files(str(root)))
    return [
        (key, level, metric.step, metric.split, metric.loss, metric.error)
        for key, cursor in wanted.cursors.items()
        for level in cursor.levels
        for metric in store.record(key, level).metrics
    ]
