"""`raysweep import`: imports the networks that a sweep file names as finished trials."""

from rich.console import Console

from raysweep.cluster.imports import import_networks
from raysweep.commands.load_all import load_one
from raysweep.commands.plan import split_notes
from raysweep.commands.progress import LiveProgress
from raysweep.commands.run_log import RunLog
from raysweep.errors import UserError
from raysweep.plan.notices.twins import same_weights
from raysweep.plan.recording import record_sweep
from raysweep.store.files import Files
from raysweep.store.lock import shared_root_lock


def import_sweep(path: str, root: str, overrides: list[str] | None) -> None:
    """Import the networks that a sweep file names. Raises `UserError` when it names none."""
    console = Console(highlight=False, soft_wrap=True)
    wanted = load_one(path, overrides)
    sweep, files = wanted.sweep, Files(root)
    if not sweep.sections.train.imports:
        raise UserError(f"{path}: train.imports names no files")
    with shared_root_lock(files):
        files.check_writable()
        with RunLog(files, sweep.name, console) as log:
            record_sweep(files, wanted)
            with LiveProgress(log) as progress:
                imported = import_networks(files, wanted, progress)
            present = len(wanted.trials) - imported
            log.print(f"{imported} imported, {present} were already there; now: raysweep run {path}")
            for note in (*same_weights(files, wanted), *split_notes(sweep)):
                log.print(note)
