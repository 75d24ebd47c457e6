"""Several sweep files under one command: all are checked before anything is done."""

from raysweep.errors import UserError
from raysweep.plan.effect import refuse_without_effect
from raysweep.plan.plan import Desired, desired
from raysweep.sweep.load import load_sweep


def load_one(path: str, overrides: list[str] | None) -> Desired:
    """Resolve a file. Raises `UserError` for its faults, and for keys of `train` that determine nothing."""
    wanted = desired(load_sweep(path, overrides))
    refuse_without_effect(path, wanted.sweep)
    return wanted


def load_all(paths: list[str], overrides: list[str] | None) -> list[Desired]:
    """Resolve every file with the same overrides.

    Raises one `UserError` with the faults of all files, and for two files whose sweeps have one name, because
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
