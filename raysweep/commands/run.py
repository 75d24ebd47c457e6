"""`raysweep run`: plan, do, publish, analyse, track, and print the answer."""

import contextlib
import importlib
from typing import TYPE_CHECKING, Any

from rich.console import Console

from raysweep.cluster.run import run_sweep
from raysweep.commands.load_all import load_all
from raysweep.commands.plan import plan_table
from raysweep.commands.progress import LiveProgress
from raysweep.commands.run_log import RunLog
from raysweep.errors import UserError
from raysweep.plan.estimate import estimate
from raysweep.plan.plan import Desired, done, todo
from raysweep.store.copies import as_directory
from raysweep.store.files import Files
from raysweep.store.lock import shared_root_lock, sweep_lock
from raysweep.store.space import check_space
from raysweep.sweep.load import Sweep
from raysweep.tables.publishing import write_sweep
from raysweep.tables.schemas import TABLES

if TYPE_CHECKING:
    from raysweep.tracking import Tracker


GOES_ON = "what is stored is whole, and the same command goes on from here"


def execute(paths: list[str], root: str, overrides: list[str] | None, address: str | None) -> int:
    """Run sweep files to the end, one after the other; returns the worst exit code.

    All files are checked first. A sweep that cannot be run (2), or parts of which failed (1), does not
    keep the later ones from running.
    """
    console = Console(highlight=False, soft_wrap=True)
    sweeps = load_all(paths, overrides)
    files = Files(root)
    code = 0
    with shared_root_lock(files):
        files.check_writable()
        with _one_session(sweeps, files, address):
            for wanted in sweeps:
                try:
                    failures = _run(wanted, files, address, console)
                    code = max(code, 1 if failures else 0)
                except UserError as error:
                    _say(f"error: {error}")
                    code = 2
                except OSError as error:  # a full disk, storage that does not answer
                    _say(f"error: {error}; {GOES_ON}")
                    code = max(code, 1)
    return code


def _say(problem: str) -> None:
    Console(stderr=True, soft_wrap=True).print(problem, markup=False, highlight=False)


def _one_session(
    sweeps: list[Desired], files: Files, address: str | None
) -> contextlib.AbstractContextManager[None]:
    """One Ray for several sweeps; a single one starts it when it has proved its symmetries."""
    if len(sweeps) == 1 or not any(todo(wanted, done(wanted, files)) for wanted in sweeps):
        return contextlib.nullcontext()
    from raysweep.cluster.session import ray_session

    return ray_session(address)


def _run(wanted: Desired, files: Files, address: str | None, console: Console) -> list[dict[str, Any]]:
    """Run one sweep; returns the rows of its failures."""
    sweep = wanted.sweep
    with sweep_lock(files, sweep.name), RunLog(files, sweep.name, console) as log:
        work = todo(wanted, done(wanted, files))
        log.say(plan_table(wanted, work))
        log.write()
        check_space(files, estimate(wanted, work).bytes)
        tracker = _tracker(files, sweep)
        if tracker and work:
            tracker.prepare()
        write_sweep(files, sweep)
        with LiveProgress(log) as progress:
            failures = run_sweep(files, wanted, work, address, progress)
        _answer(log, files, sweep, tracker)
        if failures:
            where = files.where(f"sweeps/{sweep.name}/failures")
            log.say(f"{len(failures)} failures: see {where}; the same command tries them again")
    return failures


def _answer(log: RunLog, files: Files, sweep: Sweep, tracker: "Tracker | None") -> None:
    """Run the analyses, log what there is, and say where things are."""
    folder = f"sweeps/{sweep.name}"
    with as_directory(files, folder) as directory:
        for name in sweep.sections.analyses:
            log.say(importlib.import_module(f"analysis.{name}").analyse(directory))
        if tracker:
            log.say(tracker.finish(directory))
    log.say(f"tables:  {files.where(folder)}/{{{','.join(TABLES)}}}")
    if sweep.sections.analyses:
        log.say(f"figures: {files.where(folder)}/figures")
    log.say(f"log:     {files.where(log.name)}")


def _tracker(files: Files, sweep: Sweep) -> "Tracker | None":
    if not sweep.sections.tracking.enabled:
        return None
    from raysweep.tracking import Tracker

    return Tracker(files, sweep)
