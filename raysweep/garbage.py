"""`raysweep gc`: trials and results that no sweep under a root asks for, and logs of sweeps that are gone."""

from collections.abc import Iterable

from raysweep.report import stored_sweeps
from raysweep.run_log import FOLDER
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.sweep.plan import desired


def garbage(files: Files) -> dict[str, int]:
    """Return the objects that belong to no sweep, with their bytes.

    What a sweep asks for is in its `sweep.yaml`, as it was when it ran last.
    """
    wanted = [desired(sweep) for sweep in stored_sweeps(files)]
    names = {each.sweep.name for each in wanted}
    trials = {trial_id for each in wanted for trial_id in each.trials}
    found = {name: size for name, size in files.sizes("trials").items() if name.split("/")[1] not in trials}
    alignments = {key for each in wanted for key in each.alignments}
    barriers = {key for each in wanted for key in each.barriers}
    for kind, identity, ids in (
        ("alignments", "alignment_id", alignments),
        ("barriers", "barrier_id", barriers),
    ):
        found |= _results(files, kind, identity, ids)
    return found | {
        name: size for name, size in files.sizes(FOLDER).items() if name.split("/")[1] not in names
    }


def _results(files: Files, kind: str, identity: str, ids: Iterable[str]) -> dict[str, int]:
    """An object holds the rows of a tile: it is garbage when nobody asks for any of them."""
    rows = ResultStore(files).rows(kind, [identity, *(["split"] if kind == "barriers" else [])])
    known = set(ids)
    used = {row["_object"] for row in rows.values() if row[identity] in known}
    return {name: size for name, size in files.sizes(f"results/{kind}").items() if name not in used}


def summary(found: dict[str, int]) -> str:
    """Return a line on how much there is, of trials, results and logs."""
    trials = {name.split("/")[1] for name in found if name.startswith("trials/")}
    results = sum(name.startswith("results/") for name in found)
    logs = sum(name.startswith(f"{FOLDER}/") for name in found)
    size = sum(found.values()) / 1e6
    return (
        f"{len(trials)} trials and {results} result objects that no sweep asks for, {logs} logs of sweeps "
        f"that are gone, {size:,.1f} MB"
    )
