"""The sweep files that runs have stored under a root."""

from raysweep.errors import CorruptObject, UserError
from raysweep.store.files import Files
from raysweep.sweep.load import Sweep, check, parse


def stored_sweeps(files: Files) -> list[Sweep]:
    """Return the sweeps that were run under a root. Raises `UserError` for an invalid sweep file."""
    return [stored_sweep(files, name) for name in sweep_files(files)]


def sweep_files(files: Files) -> list[str]:
    """Return the names of the sweep files under a root."""
    return [name for name in files.list("sweeps") if name.endswith("/sweep.yaml")]


def stored_sweep(files: Files, name: str) -> Sweep:
    """Read a sweep file under a root. Raises `UserError` when it is invalid."""
    where = files.where(name)
    try:
        return check(where, parse(where, files.get(name)))
    except CorruptObject as error:
        raise UserError(str(error)) from error
