"""The command line of a question: `python -m analysis.<question> ROOT [--sweep NAME]`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raysweep.commands.process_exit import leave
from raysweep.errors import UserError
from raysweep.store.copies import as_directory
from raysweep.store.files import Files
from raysweep.tables.frames import unlike_published

ROOT = "a directory, s3://bucket/prefix or gs://bucket/prefix"


def command(
    description: str | None,
    sweep: str,
    analyse: Callable[..., str],
    options: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> None:
    """Parse the arguments and print the text of an analysis; `sweep` is the default name of the sweep.

    `options` adds arguments, which `analyse` receives by keyword after the folder of the sweep.
    """
    spec = sys.modules["__main__"].__spec__
    name = f"python -m {spec.name.removesuffix('.__main__')}" if spec else None  # a package runs its __main__
    parser = argparse.ArgumentParser(name, description=description)
    parser.add_argument("root", help=ROOT)
    parser.add_argument("--sweep", default=sweep, help="the name of the sweep (default: %(default)s)")
    options(parser)
    own = vars(parser.parse_args())
    root, sweep = own.pop("root"), own.pop("sweep")
    try:
        files, folder = Files.existing(root), f"sweeps/{sweep}"
        names = files.list(folder)
        if not names:
            found = ", ".join(sorted({name.split("/")[1] for name in files.list("sweeps")})) or "none"
            raise UserError(f"no sweep {sweep!r} under {root}; there: {found}")
        if not any(name.startswith(f"{folder}/trials") for name in names):
            raise UserError(f"sweep {sweep!r} under {root} has no tables yet; `raysweep run` publishes them")
        with as_directory(files, folder) as directory:
            print(_answered(analyse, directory, own, files.where(folder)))
    except UserError as error:
        parser.error(str(error))
    leave(0)


def _answered(analyse: Callable[..., str], directory: Path, own: dict[str, Any], where: str) -> str:
    """Analyse the tables in a directory, which may be a copy; messages name the files as being at `where`.

    Raises `UserError` for damaged tables, and for an analysis that fails on those of another version.
    """
    try:
        try:
            return analyse(directory, **own)
        except (OSError, LookupError, AttributeError, TypeError, ValueError) as error:
            if problem := unlike_published(directory):
                raise UserError(problem) from error
            raise
    except UserError as error:
        raise UserError(str(error).replace(str(directory), where)) from error
