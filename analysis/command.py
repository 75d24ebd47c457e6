"""`python -m analysis.<module> ROOT [--sweep NAME]`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from raysweep.leaving import leave
from raysweep.store.copies import as_directory
from raysweep.store.files import Files


def command(description: str | None, sweep: str, analyse: Callable[[Path], str]) -> None:
    """Parse the arguments and print what an analysis says of a sweep; `sweep` is the default name."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("root", help="a directory, s3://bucket/prefix or gs://bucket/prefix")
    parser.add_argument("--sweep", default=sweep)
    arguments = parser.parse_args()
    files, folder = Files(arguments.root), f"sweeps/{arguments.sweep}"
    if not files.list(folder):
        found = ", ".join(sorted({name.split("/")[1] for name in files.list("sweeps")})) or "none"
        parser.error(f"no sweep {arguments.sweep!r} under {arguments.root}; there: {found}")
    with as_directory(files, folder) as directory:
        print(analyse(directory))
    leave(0)
