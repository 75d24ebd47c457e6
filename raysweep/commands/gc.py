"""`raysweep gc`: trials and results that no sweep under a root asks for, and logs of sweeps that are gone."""

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.commands.run_log import FOLDER
from raysweep.commands.stored_sweeps import stored_sweeps
from raysweep.plan.plan import desired
from raysweep.store.files import Files
from raysweep.store.results import ResultStore


def garbage(files: Files) -> dict[str, int]:
    """Return the objects that belong to no sweep, with their bytes.

    What a sweep asks for is in its `sweep.yaml`, as it was when it ran last.
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
    """An object holds the rows of a tile: it is garbage when nobody asks for any of them."""
    index = ResultStore(files).index(kind)
    rows = index.rows()
    asked = rows.column("object").filter(pc.is_in(rows.column("id"), pa.array(wanted, pa.string()))).unique()
    used = set(index.objects.column("object").take(asked).to_pylist())
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
