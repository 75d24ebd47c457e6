"""The stages of a run: train and align whatever has its inputs, until nothing is left; compare; publish."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from raysweep.cluster.events import Listener, failure
from raysweep.errors import UserError
from raysweep.models.config import ModelConfig
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.identity import BarrierUnit, Trial, data_config
from raysweep.sweep.plan import Desired, Done, Todo, done, finished, todo
from raysweep.sweep.rows import publish_tables
from raysweep.sweep.schema import Training
from raysweep.work.tile import Tile


def run_sweep(
    files: Files, wanted: Desired, work: Todo, address: str | None, listener: Listener
) -> list[dict[str, Any]]:
    """Do the work that is left and publish the tables, also when interrupted; returns the failures.

    Raises `SpecError`, before anything is trained, when a network's symmetries cannot be proved.
    """
    run = _Run(files, wanted, listener)
    _drop_resume_points(files, wanted, work)
    try:
        if work:
            run.stages(work, address)
    finally:
        publish_tables(files, wanted, done(wanted, files), run.failures)
    return run.failures


def _drop_resume_points(files: Files, wanted: Desired, work: Todo) -> None:
    """Remove what a process left that was killed between its last commit and the end."""
    store = TrialStore(files)
    for trial_id in wanted.trials.keys() - {trial.trial_id for trial in work.trials}:
        store.drop_resume(trial_id)


def import_networks(files: Files, wanted: Desired, listener: Listener) -> int:
    """Import the files that `train.imports` names and that the store lacks; returns how many.

    Raises `UserError` for a file that does not fit the model.
    """
    rest = wanted.sweep.sections.train
    if not rest.imports:
        return 0
    from raysweep.work.data import resident
    from raysweep.work.imports import import_checkpoint

    present = done(wanted, files)
    missing = [
        trial
        for key, trial in wanted.trials.items()
        if trial.branch == "imported" and not finished(wanted, present, key)
    ]
    if missing:
        listener.stage("imports", len(missing))
    for trial in missing:
        config = data_config(trial.training, trial.replicate)
        data = resident(config, rest.data_root, rest.download, trial.training.scaling)
        import_checkpoint(trial, rest.imports[trial.replicate], data, TrialStore(files))
        listener.advance(1)
    return len(missing)


class _Run:
    """One run of a sweep; `failures` are the rows of what could not be done."""

    def __init__(self, files: Files, wanted: Desired, listener: Listener) -> None:
        self._files, self._wanted, self._listener = files, wanted, listener
        self._root = files.root
        self._sections = wanted.sweep.sections
        self.failures: list[dict[str, Any]] = []

    def stages(self, work: Todo, address: str | None) -> None:
        from raysweep.cluster.session import ray_session

        if work.alignments:
            _prove_all(self._wanted)
        import_networks(self._files, self._wanted, self._listener)
        with ray_session(address):
            from raysweep.cluster.nodes import check_nodes
            from raysweep.cluster.pool import Pool

            check_nodes(self._files)
            self._pool = Pool(self._root, self._sections)
            try:
                tried: set[str] = set()
                while self._train_and_align(tried):
                    pass
                self._compare()
            finally:
                self._pool.close()
        self._report_blocked()

    def _train_and_align(self, tried: set[str]) -> bool:
        """Do what has its inputs now, trials before alignments; False when nothing is left to try."""
        present = done(self._wanted, self._files)
        work = todo(self._wanted, present)
        trials = [t for t in work.trials if t.trial_id not in tried and self._ready(t, present)]
        if trials:
            tried.update(trial.trial_id for trial in trials)
            self._train(trials, present)
            return True
        aligning = [
            unit for unit in work.alignments if unit.alignment_id not in tried and present.has(unit.networks)
        ]
        if aligning:
            tried.update(unit.alignment_id for unit in aligning)
            self._tiles("alignments", aligning, present)
        return bool(aligning)

    def _ready(self, trial: Trial, present: Done) -> bool:
        cursor = self._wanted.cursors[trial.trial_id]
        trained = all(finished(self._wanted, present, needed) for needed in cursor.needs)
        return trained and all(move.alignment_id in present.alignments for move in cursor.moves.values())

    def _train(self, trials: list[Trial], present: Done) -> None:
        from raysweep.cluster.trials import train_trials
        from raysweep.work.inputs import TrialTask

        tasks = {}
        for trial in trials:
            cursor = self._wanted.cursors[trial.trial_id]
            places = {m.alignment_id: present.alignments[m.alignment_id] for m in cursor.moves.values()}
            tasks[trial.trial_id] = TrialTask(trial, cursor, places)
        self._pool.close()  # its CPUs are the trials' now
        self._listener.stage("training", len(tasks))
        self.failures += train_trials(self._root, self._sections, tasks, self._listener)

    def _compare(self) -> None:
        present = done(self._wanted, self._files)
        comparing = [unit for unit in todo(self._wanted, present).barriers if _comparable(unit, present)]
        if comparing:
            self._tiles("barriers", comparing, present)

    def _tiles(self, stage: str, units: list[Any], present: Done) -> None:
        tiles = _tiles(self._wanted, units, present, self._sections.resources.tile)
        self._listener.stage(stage, len(units))
        self.failures += self._pool.run(tiles, self._listener)

    def _report_blocked(self) -> None:
        """Say of every trial and alignment that never had its inputs what it waited for."""
        present = done(self._wanted, self._files)
        failed = {row["id"] for row in self.failures}
        for trial in todo(self._wanted, present).trials:
            if trial.trial_id not in failed:
                needs = self._wanted.cursors[trial.trial_id].needs
                missing = [each for each in needs if not finished(self._wanted, present, each)]
                text = f"not started: it needs {', '.join(missing) or 'an alignment'}, which failed"
                self.failures.append(failure(trial.trial_id, "trial", text, 0))


def _comparable(unit: BarrierUnit, present: Done) -> bool:
    return present.has(unit.networks) and all(
        alignment in present.alignments for alignment in unit.alignments
    )


def _tiles(wanted: Desired, units: list[Any], present: Done, size: int) -> list[Tile]:
    """Cut the units, by group and largest width first, into tiles of at most `size`."""
    groups: dict[str, list[Any]] = {}
    for unit in units:
        groups.setdefault(unit.group, []).append(unit)

    def width(members: list[Any]) -> int:
        return max(wanted.trials[network.trial_id].training.width for network in members[0].networks)

    tiles = []
    for members in sorted(groups.values(), key=width, reverse=True):
        for start in range(0, len(members), size):
            chunk = tuple(members[start : start + size])
            trials = {
                network.trial_id: wanted.trials[network.trial_id]
                for unit in chunk
                for network in unit.networks
            }
            places = {
                alignment: present.alignments[alignment]
                for unit in chunk
                if isinstance(unit, BarrierUnit)
                for alignment in unit.alignments
            }
            tiles.append(Tile(chunk, trials, places))
    return tiles


def _prove_all(wanted: Desired) -> None:
    from raysweep.sweep.facts import facts_of, model_config
    from raysweep.work.data import prove_padding_to, proved_spec

    def config_of(training: Training) -> ModelConfig:
        facts = facts_of(data_config(training, 0).whole(), wanted.sweep.sections.train)
        return model_config(training, facts.shape, facts.classes)

    for training in dict.fromkeys(trial.training for trial in wanted.trials.values()):
        with _naming(training):
            proved_spec(config_of(training))
    for unit in wanted.alignments.values():
        if unit.embeds:
            narrow, wide = (wanted.trials[network.trial_id].training for network in unit.networks)
            with _naming(wide):
                prove_padding_to(config_of(wide), config_of(narrow))


@contextmanager
def _naming(training: Training) -> Iterator[None]:
    """Say of which network an error speaks."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"train.model = {training.model}, norm {training.norm}: {error}") from error
