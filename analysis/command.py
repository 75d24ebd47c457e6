"""`python -m analysis.<module> ROOT [--sweep NAME]`."""

import argparse
from collections.abc import Callable
from pathlib import Path


def command(description: str | None, sweep: str, analyse: Callable[[Path], str]) -> None:
    """Parse the arguments and print what an analysis says of a sweep; `sweep` is the default name."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("root", type=Path)
    parser.add_argument("--sweep", default=sweep)
    arguments = parser.parse_args()
    folder = arguments.root / "sweeps" / arguments.sweep
    if not folder.is_dir():
        found = ", ".join(sorted(path.name for path in folder.parent.glob("*"))) or "none"
        parser.error(f"no sweep {arguments.sweep!r} under {arguments.root}; there: {found}")
    print(analyse(folder))
