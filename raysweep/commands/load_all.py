"""Loads several sweep files for one command, and checks them all before anything is done."""

from raysweep.errors import UserError
from raysweep.plan.effect import refuse_without_effect
from raysweep.plan.plan import Desired, desired
from raysweep.sweep.load import load_sweep


def load_one(path: str, overrides: list[str] | None) -> Desired:
    """Return what a sweep file asks for. Raises `UserError` for errors in it and for keys without effect."""
    wanted = desired(load_sweep(path, overrides))
    refuse_without_effect(path, wanted.sweep)
    return wanted


def load_all(paths: list[str], overrides: list[str] | None) -> list[Desired]:
    """Return what each sweep file asks for, with the same overrides for all.

    Raises one `UserError` with the errors of all files. Two sweeps of the same name are an error, because
    their tables would overwrite each other.
    """
    wanted: dict[str, Desired] = {}
    problems = []
    for path in paths:
        try:
            each = load_one(path, overrides)
        except UserError as error:
            text = str(error)
            problems.append(text if text.startswith(path) else f"{path}: {text}")
            continue
        if each.sweep.name in wanted:
            problems.append(f"{path}: an earlier file has the same name = {each.sweep.name}")
        wanted[each.sweep.name] = each
    if problems:
        raise UserError("\n".join(problems))
    return list(wanted.values())
