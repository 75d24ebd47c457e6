"""Small plans carried out in this process, without Ray."""

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from raysweep.plan.desired import Desired, desired
from raysweep.plan.done import done, finished
from raysweep.plan.identity import data_config
from raysweep.plan.recording import record_sweep
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.store.lock import shared_root_lock
from raysweep.store.results import ResultStore
from raysweep.store.resume_points import ResumePoints
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.tables.publishing import publish_tables
from raysweep.work.aligning import Aligner
from raysweep.work.data import trained_on
from raysweep.work.inputs import TrialTask
from raysweep.work.networks import Networks
from raysweep.work.resuming import Resuming
from raysweep.work.tile import Tile, TileWorker
from raysweep.work.trial import run_trial
from raysweep.work.unit_values import UnitValues

# The first backward pass of a process starts a thread for each device that torch knows by then. Compilation
# adds a device, and a forked process (see `killed_before`) lacks such threads; so a pass comes first.
torch.ones((), requires_grad=True).backward()
BASE = {"dataset": "digits", "width": 6, "epochs": 3, "batch_size": 128, "replicates": 2, "init": "pytorch"}


def plan(prune=None, **train) -> Desired:
    sections = {
        "name": "s",
        "train": {**BASE, **train},
        "compare": {"kinds": ["unaligned", "direct"], "alphas": 5},
    }
    return desired(check("test", sections | ({"prune": prune} if prune else {})))


def die_before(change: int, folder: Path) -> None:
    """Kill this process by signal 9 just before its nth change below a folder, whoever makes it.

    A change is a file that is opened to be written, renamed or removed: an object is written by two. There
    is no way back, so this is for forked processes.
    """
    left = change

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event not in ("open", "os.rename", "os.remove") or not str(arguments[0]).startswith(str(folder)):
            return
        left -= event != "open" or "w" in str(arguments[1])
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def carry_out(
    wanted: Desired,
    files: Files,
    resume_seconds: float = 1e9,
    report=lambda level, record: None,
    align: bool = True,
) -> None:
    """Train and align in the order of need, like a run does.

    With `resume_seconds=0` a trial notes a resume point as often as it can.
    """
    sections = wanted.sweep.sections
    while True:
        present = done(wanted, files)
        work = todo(wanted, present)
        for trial in work.trials:
            extent = wanted.extents[trial.trial_id]
            aligned = all(
                move.alignment_id in present.alignments for move in extent.mask_permutations.values()
            )
            if aligned and all(finished(wanted, present, needed) for needed in extent.requires):
                task = TrialTask(trial, extent, present.alignments)
                config = data_config(trial.training, trial.replicate)
                data = trained_on(trial.training, config, sections.train.data_root, False)
                list(run_trial(task, data, TrialStore(files), ResultStore(files), resume_seconds, report))
                break
        else:
            ready = [u for u in work.alignments if present.has(u.networks)]
            if not ready or not align:
                return
            worker = TileWorker(files.root, sections)
            worker.run(Tile((ready[0],), wanted.trials))


def aligner_of(wanted: Desired, files: Files) -> Aligner:
    """What aligns the networks of a plan, without committing anything."""
    sections = wanted.sweep.sections
    return Aligner(
        sections.align,
        Networks(TrialStore(files), sections, 10**6),
        UnitValues(sections.align.activation_matching, 10**6),
        Resuming(ResumePoints(files), sections.resources.resume_seconds, sections.align.device),
    )


def compare_all(wanted: Desired, files: Files) -> None:
    """Evaluate the barriers and publish the tables."""
    present, sections = done(wanted, files), wanted.sweep.sections
    worker = TileWorker(files.root, sections)
    left = tuple(todo(wanted, present).barriers)
    if left:
        worker.run(Tile(left, wanted.trials, present.alignments))
    record_sweep(files, wanted)
    publish_tables(files, wanted, done(wanted, files), [])


def killed_before(change: int, root: Path, act: Callable[[], object]) -> bool:
    """Do something in a forked process that dies before its nth change of the root.

    Returns False when it did not get there.
    """
    child = os.fork()
    if child == 0:
        try:
            die_before(change, root)
            act()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def each_change(
    start: Path, root: Path, act: Callable[[], object], again: Callable[[], object] | None = None
) -> Iterator[int]:
    """Starting each time from a copy of a folder, act until the 1st, 2nd, ... change, and once more to the
    end, as the next run does: with what was left in `tmp` removed."""
    change = 1
    while True:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(start, root)
        if not killed_before(change, root, act):
            return
        with shared_root_lock(Files(str(root))):
            (again or act)()
        assert not list(root.glob("tmp/*")), f"killed before change {change}"
        yield change
        change += 1


def contents(root: Path) -> dict[str, bytes]:
    """All weights, masks and optimiser states by name."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.safetensors")}


def metrics(wanted: Desired, root: Path) -> list[tuple[object, ...]]:
    """What the records of all levels say, but for times: their inputs and their metrics."""
    store = TrialStore(Files(str(root)))
    records = {
        (key, level): store.record(key, level)
        for key, extent in wanted.extents.items()
        for level in extent.levels
    }
    found = [(*where, *record.inputs) for where, record in records.items()]
    return found + [
        (*where, metric.step, metric.split, metric.loss, metric.error)
        for where, record in records.items()
        for metric in record.metrics
    ]
