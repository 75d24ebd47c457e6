"""What a run prints to."""

import os
import sys

from rich.console import Console


class RunConsole(Console):
    """A console whose reader may go away, as in `raysweep run ... | head`.

    The run goes on without it, and its log has all that it says.
    """

    def on_broken_pipe(self) -> None:
        """Print nothing from here on."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
