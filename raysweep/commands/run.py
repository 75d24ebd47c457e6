"""`raysweep run`: plans, runs, publishes, analyses and tracks sweeps, and prints their answers."""

import contextlib
import importlib
import os
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from raysweep.cluster.run import run_sweep
from raysweep.commands.console import RunConsole
from raysweep.commands.live import LivePublication
from raysweep.commands.load_all import load_all
from raysweep.commands.plan import plan_table
from raysweep.commands.progress import LiveProgress
from raysweep.commands.run_log import RunLog
from raysweep.errors import VERIFY, CorruptObject, UserError
from raysweep.plan.cost.estimate import estimate
from raysweep.plan.desired import Desired
from raysweep.plan.done import Done, done
from raysweep.plan.notices.why_again import why_again
from raysweep.plan.recording import recording
from raysweep.plan.todo import Todo, todo
from raysweep.store.copies import as_directory
from raysweep.store.divergence import forget_divergences
from raysweep.store.files import Files
from raysweep.store.lock import shared_root_lock, sweep_lock
from raysweep.store.space import check_space
from raysweep.sweep.load import Sweep
from raysweep.tables import mixtures
from raysweep.tables.failures import counted

if TYPE_CHECKING:
    from raysweep.tracking import Tracker


PAGE = "claims.html"  # under the root; `analysis.claims` writes it
UNCONDITIONAL = (
    "this storage has no conditional writes: where two runs publish the tables of one sweep at the same "
    "time, they may lack rows until it is run again"
)
GOES_ON = "all stored results are complete, and the same command goes on from here"


def execute(
    paths: list[str],
    root: str,
    overrides: list[str] | None,
    address: str | None,
    verbose: bool = False,
    retry_diverged: bool = False,
) -> int:
    """Run sweep files one after the other, and return the worst exit code.

    With `verbose` the texts of the analyses are printed; otherwise they are only in the log.

    All files are checked first; raises `UserError` for errors in them. A sweep that cannot be run (exit code
    2) or of which parts failed (1) does not prevent the later ones from running.
    """
    console = RunConsole(highlight=False, soft_wrap=True)
    sweeps = load_all(paths, overrides)
    files = Files(root)
    code, compares = 0, files.check_writable()
    with shared_root_lock(files):
        if not compares:
            console.print(UNCONDITIONAL)
        if retry_diverged:
            for wanted in sweeps:
                forget_divergences(files, wanted.trials)
        idle = {wanted.sweep.name: _prepared(wanted, files) for wanted in sweeps}
        busy = [wanted for wanted in sweeps if idle[wanted.sweep.name] is None]
        with _one_session(busy, address, console):
            for wanted in sweeps:
                try:
                    present = idle.pop(wanted.sweep.name)
                    whole = _run(wanted, files, present, address, console, verbose)
                    code = max(code, 0 if whole else 1)
                except UserError as error:
                    _print_error(f"error: {error}")
                    code = 2
                except CorruptObject as error:
                    _print_error(f"error: {error}; {VERIFY}")
                    code = max(code, 1)
                except OSError as error:  # for example a full disk, or storage that does not answer
                    _print_error(f"error: {error}; {GOES_ON}")
                    code = max(code, 1)
    return code


def _print_error(problem: str) -> None:
    Console(stderr=True, soft_wrap=True).print(problem, markup=False, highlight=False)


def _prepared(wanted: Desired, files: Files) -> Done | None:
    """Prove the symmetries of the networks that will be aligned.

    Returns what is done of a sweep of which nothing is left to do, and None where there is work. Raises
    `SpecError`.
    """
    present = done(wanted, files)
    work = todo(wanted, present)
    if work.alignments:
        from raysweep.work.proving import prove_all

        prove_all(wanted)
    return None if work else present


def _one_session(
    busy: list[Desired], address: str | None, console: Console
) -> contextlib.AbstractContextManager[None]:
    """Start Ray once for several sweeps with work; a single sweep starts it when its plan is printed."""
    if len(busy) < 2:
        return contextlib.nullcontext()
    from raysweep.cluster.session import ray_session

    return ray_session(address, console.print)


def _run(
    wanted: Desired,
    files: Files,
    present: Done | None,
    address: str | None,
    console: Console,
    verbose: bool,
) -> bool:
    """Run one sweep and return whether all of it went well.

    `present` is what is done, where nothing is left to do.
    """
    sweep = wanted.sweep
    with sweep_lock(files, sweep.name), RunLog(files, sweep.name, console) as log, ExitStack() as stack:
        present = present or done(wanted, files)
        work = todo(wanted, present)
        for text in (plan_table(wanted, work), *_diverged(work), *why_again(files, wanted, work)):
            log.print(text)
        log.write()
        check_space(files, estimate(wanted, work).bytes)
        tracker = _tracker(files, sweep, log)
        if tracker and work:
            stack.enter_context(tracker.at_work())
        with recording(files, wanted), LiveProgress(log) as progress:
            live = LivePublication(files, sweep, progress.news, log)
            failures = run_sweep(files, wanted, present, work, address, progress, live)
        if tracker and live.begun:
            tracker = _tracker(files, sweep, log)  # one that finds what was logged meanwhile
        texts: dict[str, str] = {}
        if work and (live.begun or sweep.sections.analyses or files.exists(PAGE)):
            texts = _renew_page(files, sweep.name, log)
        answered = _answer(log, files, sweep, texts, tracker, verbose, not failures)
        if failures:
            where = files.where(f"sweeps/{sweep.name}/failures")
            again = "the same command tries them again, those that diverged with --retry-diverged"
            log.print(f"{counted(failures)}: see {where}; {again}")
    return answered and not failures


def _diverged(work: Todo) -> list[str]:
    """Return a line about trainings that have diverged in earlier runs."""
    if not work.diverged:
        return []
    lost = f", and {len(work.lost):,} jobs that require them are left out" if work.lost else ""
    return [
        f"{len(work.diverged):,} trainings have diverged and are not repeated{lost}; --retry-diverged tries "
        "them again"
    ]


def _answer(
    log: RunLog,
    files: Files,
    sweep: Sweep,
    texts: Mapping[str, str],
    tracker: "Tracker | None",
    verbose: bool,
    whole: bool,
) -> bool:
    """Run the analyses that have no text yet, update MLflow, and print the answer and where everything is.

    The texts of the analyses are printed where they are asked for, or where no claim is decided by the sweep.
    Returns whether all analyses went well: one that fails keeps neither the answer nor MLflow from the rest.
    There the sweep has failed where an analysis has, or where the work is not `whole`.
    """
    folder = f"sweeps/{sweep.name}"
    with as_directory(files, folder) as directory:
        lines = importlib.import_module("analysis.summary.answer").answer(directory)
        say = log.record if lines and not verbose else log.print
        went_well = [_say(log, directory, name, texts.get(name), say) for name in sweep.sections.analyses]
        status = "FINISHED" if whole and all(went_well) else "FAILED"
        logged = [tracker.finish(directory, status)] if tracker else []
    drawn = sweep.sections.analyses
    figures, tables = (" and figures", " (with the tables of the analyses)") if drawn else ("", "")
    where = [f"tables{figures}: {_shown(files.where(folder))}", *logged]
    where += [f"page:    {_shown(files.where(PAGE))}"] if files.exists(PAGE) else []
    where.append(f"log:     {_shown(files.where(log.name))}{tables}")
    for line in (*mixtures.warnings(files, sweep.name), *lines, *where):
        log.print(line)
    return all(went_well)


def _say(log: RunLog, directory: Path, name: str, text: str | None, say: Callable[[str], None]) -> bool:
    """Say the text of an analysis, which is run for it if need be, or why there is none; returns whether
    there is one.
    """
    try:
        say(text or importlib.import_module("analysis.summary.sweep_report").renewed(directory, name))
    except Exception as error:
        log.record("".join(traceback.format_exception(error)))
        log.print(f"analysis {name} fails, as the log says: {type(error).__name__}: {error}")
        return False
    return True


def _shown(path: str) -> str:
    """Return a path as seen from the current folder, where it lies below that."""
    here = f"{os.getcwd()}/"
    return path.removeprefix(here)


def _renew_page(files: Files, sweep: str, log: RunLog) -> dict[str, str]:
    """Write the page of the root, and return the texts of this sweep's analyses that went well, by name.

    The other sweeps, which the page shows too, must not make this one fail. Nor may they warn.
    """
    page = importlib.import_module("analysis.claims").Page(files)
    texts: dict[str, str] = {}
    try:
        texts = page.analyse(sweep)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            page.write()
    except (UserError, CorruptObject, OSError) as error:
        log.print(f"the page of all sweeps cannot be written: {error}")
    return texts


def _tracker(files: Files, sweep: Sweep, log: RunLog) -> "Tracker | None":
    if not sweep.sections.tracking.enabled:
        return None
    from raysweep.tracking import Tracker

    return Tracker(files, sweep, log.print)
