"""`raysweep status`: the progress of every sweep under a root."""

import time

from rich.console import Console
from rich.live import Live

from raysweep.commands.standing import standings
from raysweep.store.files import Files

EVERY = 5.0  # seconds between two looks of --watch


def status_lines(files: Files) -> list[str]:
    """Return a line per sweep under the root: its jobs, its failures, and the progress of its run.

    They are those of its record. Where that, or the table of failures, cannot be read, the line says so.
    """
    return [str(each) for each in standings(files)] or [f"no sweep under {files.root}"]


def watch(files: Files) -> None:
    """Show the lines anew every few seconds, until Ctrl-C."""
    with Live(console=Console(highlight=False, markup=False), auto_refresh=False) as live:
        while True:
            live.update("\n".join(status_lines(files)), refresh=True)
            time.sleep(EVERY)
