"""Loads several sweep files for one command, and checks them all before anything is done."""

from dataclasses import replace

from raysweep.errors import UserError
from raysweep.plan.desired import Desired, desired
from raysweep.plan.notices.effect import refuse_without_effect
from raysweep.plan.notices.fruitless import fruitless
from raysweep.plan.notices.missing import missing_data
from raysweep.sweep.compare import Compare
from raysweep.sweep.load import load_sweep
from raysweep.sweep.schema import Sections


def load_one(path: str, overrides: list[str] | None, to_plan: bool = False) -> Desired:
    """Return what a sweep file asks for.

    Raises `UserError` for errors in it, for keys without effect, where nothing can be compared, and for data
    whose files are missing. The last is no error where the sweep is only planned; nor are files downloaded.
    """
    sweep = load_sweep(path, overrides)
    wanted = desired(replace(sweep, sections=_without_download(sweep.sections)) if to_plan else sweep)
    refuse_without_effect(path, wanted.sweep)
    asked = wanted.sweep.sections.compare.kinds
    if asked and asked != Compare().kinds and not wanted.barriers:
        lines = [*fruitless(wanted), "compare.kinds: nothing can be compared; [] trains the networks only"]
        raise UserError("\n".join(f"{path}: {line}" for line in lines))
    if not to_plan and (missing := missing_data(wanted)):
        raise UserError("\n".join(f"{path}: {line}" for line in missing.values()))
    return wanted


def _without_download(sections: Sections) -> Sections:
    return sections.model_copy(update={"train": sections.train.model_copy(update={"download": False})})


def load_all(paths: list[str], overrides: list[str] | None, to_plan: bool = False) -> list[Desired]:
    """Return what each sweep file asks for, with the same overrides for all; see `load_one`.

    Raises one `UserError` with the errors of all files. Two sweeps of the same name are an error, because
    their tables would overwrite each other.
    """
    wanted: dict[str, Desired] = {}
    problems = []
    for path in paths:
        try:
            each = load_one(path, overrides, to_plan)
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
