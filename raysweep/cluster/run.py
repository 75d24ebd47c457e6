"""The stages of a run: train what is missing, align, compare, publish."""

from typing import Any

from raysweep.cluster.events import Listener
from raysweep.store.files import Files
from raysweep.sweep.identity import AlignmentUnit, BarrierUnit
from raysweep.sweep.plan import Desired, Done, Todo, done, todo
from raysweep.sweep.rows import publish_tables
from raysweep.work.tile import Tile


def run_sweep(
    files: Files, wanted: Desired, work: Todo, address: str | None, listener: Listener
) -> list[dict[str, Any]]:
    """Do the work that is left and publish the tables, also when interrupted; returns the failures.

    Raises `SpecError`, before anything is trained, when a network's symmetries cannot be proved.
    """
    failures: list[dict[str, Any]] = []
    try:
        if work:
            failures = _stages(files, wanted, work, address, listener)
    finally:
        publish_tables(files, wanted, done(wanted, files), failures)
    return failures


def _stages(
    files: Files, wanted: Desired, work: Todo, address: str | None, listener: Listener
) -> list[dict[str, Any]]:
    from raysweep.cluster.session import ray_session

    root = str(files.root)
    failures: list[dict[str, Any]] = []
    if work.alignments:
        _prove_all(wanted)
    with ray_session(address):
        if work.trials:
            from raysweep.cluster.trials import train_trials

            listener.stage("training", len(work.trials))
            failures += train_trials(root, wanted, work.trials, listener)
        if work.alignments or work.barriers:
            failures += _compare(files, root, wanted, listener)
    return failures


def _compare(files: Files, root: str, wanted: Desired, listener: Listener) -> list[dict[str, Any]]:
    from raysweep.cluster.pool import Pool

    present = done(wanted, files)
    work = todo(wanted, present)
    size = wanted.sweep.sections.resources.tile
    aligning = [unit for unit in work.alignments if _trained(unit, present)]
    pool = Pool(root, wanted, -(-max(len(aligning), len(work.barriers)) // size))
    try:
        listener.stage("alignments", len(aligning))
        failures = pool.run(_tiles(wanted, aligning, present, size), listener)
        present = done(wanted, files)
        comparing = [unit for unit in work.barriers if _aligned(unit, present)]
        listener.stage("barriers", len(comparing))
        return failures + pool.run(_tiles(wanted, comparing, present, size), listener)
    finally:
        pool.close()


def _trained(unit: AlignmentUnit, present: Done) -> bool:
    return {unit.target.trial_id, unit.source.trial_id} <= set(present.records)


def _aligned(unit: BarrierUnit, present: Done) -> bool:
    trained = all(network.trial_id in present.records for network in unit.networks)
    return trained and all(alignment in present.alignments for alignment in unit.alignments)


def _tiles(wanted: Desired, units: list[Any], present: Done, size: int) -> list[Tile]:
    """Cut the units, by group and largest width first, into tiles of at most `size`."""
    groups: dict[str, list[Any]] = {}
    for unit in units:
        groups.setdefault(unit.group, []).append(unit)
    widths = {trial.group: trial.training.width for trial in wanted.trials.values()}
    tiles = []
    for group in sorted(groups, key=lambda key: -widths[key]):
        members = groups[group]
        trials = {key: trial for key, trial in wanted.trials.items() if trial.group == group}
        for start in range(0, len(members), size):
            chunk = tuple(members[start : start + size])
            needed = {a for unit in chunk if isinstance(unit, BarrierUnit) for a in unit.alignments}
            places = {
                a: (present.alignments[a], wanted.alignments[a].target, wanted.alignments[a].source)
                for a in needed
            }
            tiles.append(Tile(chunk, trials, places))
    return tiles


def _prove_all(wanted: Desired) -> None:
    from raysweep.work.data import model_config, proved_spec, resident

    rest = wanted.sweep.sections.train
    for training in dict.fromkeys(trial.training for trial in wanted.trials.values()):
        data = resident(training.dataset, rest.data_root, rest.download, training.split_seed, "cpu")
        proved_spec(model_config(training, data, int(data.train.labels.max()) + 1))
