"""`raysweep gc`: lists and removes trials and results that no sweep asks for, and logs of removed sweeps."""

import contextlib
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.commands.run_log import FOLDER
from raysweep.commands.stored_sweeps import stored_sweeps
from raysweep.plan.plan import desired
from raysweep.store.files import Files
from raysweep.store.lock import exclusive_root_lock
from raysweep.store.results import ResultStore


def collect(files: Files, delete: bool) -> Iterator[str]:
    """Yield a line for every object that belongs to no sweep, and a summary; remove the objects if asked.

    Raises `UserError` when objects are to be removed while a run or an import is at work.
    """
    with exclusive_root_lock(files) if delete else contextlib.nullcontext():
        found = garbage(files)
        for name, size in found.items():
            yield f"{size:12,} {name}"
            if delete:
                files.delete(name)
        if delete:
            files.remove_empty_folders("trials")
            files.remove_empty_folders("results")
    yield f"{summary(found)}{', removed' if delete else ''}"


def garbage(files: Files) -> dict[str, int]:
    """Return the objects that belong to no sweep, with their sizes in bytes.

    The `sweep.yaml` under the root says what each sweep asked for when it last ran.
    """
    wanted = [desired(sweep) for sweep in stored_sweeps(files)]
    names = {each.sweep.name for each in wanted}
    trials = {trial_id for each in wanted for trial_id in each.trials}
    found = {name: size for name, size in files.sizes("trials").items() if name.split("/")[1] not in trials}
    found |= _results(files, "alignments", [key for each in wanted for key in each.alignments])
    found |= _results(files, "barriers", [key for each in wanted for key in each.barriers])
    logs = files.sizes(FOLDER).items()
    return found | {name: size for name, size in logs if name.split("/")[1] not in names}


def _results(files: Files, kind: str, wanted: list[str]) -> dict[str, int]:
    """Return the result objects of which no row is wanted; an object holds all the rows of a tile."""
    index = ResultStore(files).index(kind)
    rows = index.rows()
    asked = rows.column("object").filter(pc.is_in(rows.column("id"), pa.array(wanted, pa.string()))).unique()
    used = set(index.objects.column("object").take(asked).to_pylist())
    return {name: size for name, size in files.sizes(f"results/{kind}").items() if name not in used}


def summary(found: dict[str, int]) -> str:
    """Return a line with the numbers of trials, result objects and logs, and their total size."""
    trials = {name.split("/")[1] for name in found if name.startswith("trials/")}
    results = sum(name.startswith("results/") for name in found)
    logs = sum(name.startswith(f"{FOLDER}/") for name in found)
    size = sum(found.values()) / 1e6
    return (
        f"{len(trials)} trials and {results} result objects that no sweep asks for, {logs} logs of removed "
        f"sweeps, {size:,.1f} MB"
    )
