"""Which trials a sweep asks for: dense runs, spawned runs, imports, chains of pruned levels, branches."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from raysweep.errors import UserError
from raysweep.models.config import ModelConfig
from raysweep.plan.applied_permutations import FoundPermutation
from raysweep.plan.identity import Network, Trial, data_config
from raysweep.plan.import_files import import_files
from raysweep.plan.inputs import check_inputs, check_scaling
from raysweep.plan.own_networks import check_training
from raysweep.plan.own_training import check_functions
from raysweep.plan.probes import (
    DataFacts,
    model_config,
    probe_data,
    pruned_parameters,
    trains_on_one,
)
from raysweep.plan.trial_ids import make_branch, make_chain, make_import, make_trial
from raysweep.sweep.branches import begins_anew
from raysweep.sweep.imports import Imports
from raysweep.sweep.load import Sweep
from raysweep.sweep.prune import Pruning
from raysweep.sweep.train import Training
from raysweep.sweep.train_rest import Every, Geometric, TrainRest
from raysweep.training.moment import Moment, steps_per_epoch


@dataclass(frozen=True)
class Extent:
    """How far a trial goes and what it waits for; nothing of it enters an id.

    Every level runs from step `start` to step `total`. Checkpoints are stored at the steps `checkpoints`, and
    at the steps `optimisers` the state of the optimiser as well. The trials in `requires` must be finished
    before it starts. `mask_permutations` has, by level, what is applied to the masks of another chain.
    """

    per_epoch: int
    total: int
    start: int
    levels: tuple[int, ...]
    checkpoints: tuple[int, ...]
    optimisers: tuple[int, ...] = ()
    requires: tuple[str, ...] = ()
    mask_permutations: dict[int, FoundPermutation] = field(default_factory=dict)


@dataclass
class Family:
    """Trials that differ in the replicate alone: dense runs and, for each way to prune, their chains."""

    training: Training
    dense: list[Trial] = field(default_factory=list)
    chains: list[list[Trial]] = field(default_factory=list)


class Trials:
    """Collects trials and extents; one family per configuration of `train`."""

    def __init__(self, sweep: Sweep) -> None:
        self._sections, self._imports, self._prunings = sweep.sections, sweep.imports, sweep.prunings
        self.trials: dict[str, Trial] = {}
        self.extents: dict[str, Extent] = {}

    def family(self, training: Training) -> Family:
        """Add the dense trials of a configuration, and their chains where the sweep prunes.

        Raises `UserError` for moments past the end and for pruning that leaves nothing.
        """
        family = Family(training)
        imports = self._imports.get(training)
        for trial in self._imported(training, imports) if imports else self._trained(training):
            if trial.trial_id not in {known.trial_id for known in family.dense}:
                family.dense.append(trial)
        for pruning in self._prunings:
            chains = [self._chain(dense, pruning) for dense in family.dense]
            known = {chain.trial_id for others in family.chains for chain in others}
            if chains[0].trial_id not in known:  # two moments of rewinding may be one step
                family.chains.append(chains)
        return family

    def model(self, trial: Trial) -> ModelConfig:
        """The architecture of a trial."""
        facts = self.facts(trial)
        return model_config(trial.training, facts.shape, facts.classes)

    def facts(self, trial: Trial) -> DataFacts:
        """What is known of the data of a trial."""
        return probe_data(data_config(trial.training, trial.replicate), self._sections.train)

    def end(self, trial: Trial) -> Network:
        """A dense trial at the end of training."""
        return Network(trial.trial_id, 0, self.extents[trial.trial_id].total)

    def _add(self, trial: Trial, extent: Extent) -> Trial:
        """Add a trial; where it was added before, its checkpoints are added to those it has."""
        known = self.extents.get(trial.trial_id)
        if known:
            extent = replace(
                known,
                checkpoints=tuple(sorted({*known.checkpoints, *extent.checkpoints})),
                optimisers=tuple(sorted({*known.optimisers, *extent.optimisers})),
            )
        self.trials.setdefault(trial.trial_id, trial)
        self.extents[trial.trial_id] = extent
        return trial

    def _trained(self, training: Training) -> Iterator[Trial]:
        if training.epochs == 0:
            raise UserError("train.epochs = 0: only imported networks may have 0 epochs")
        sources = _sources(training)
        trunk, start = None, 0
        if training.spawn_at is not None:
            plain = training.model_copy(update={"spawn_at": None, "spawn_replicate": 0})
            facts, extent = self._run(plain, training.spawn_replicate, 0)
            start = _within("train.spawn_at", training.spawn_at, extent, 0)
            trunk = make_trial(plain, training.spawn_replicate, facts.digest, sources)
            self._add(trunk, replace(extent, checkpoints=(0, start, extent.total), optimisers=(start,)))
        for replicate in self._sections.train.replicate_numbers():
            facts, extent = self._run(training, replicate, start)
            trial = make_trial(training, replicate, facts.digest, sources, trunk)
            yield self._add(trial, replace(extent, requires=(trunk.trial_id,) if trunk else ()))

    def _run(self, training: Training, replicate: int, start: int) -> tuple[DataFacts, Extent]:
        rest = self._sections.train
        facts = self._facts(training, replicate)
        config = model_config(training, facts.shape, facts.classes)
        check_training(config)
        per_epoch = steps_per_epoch(facts.train_examples, training.batch_size, training.drop_last)
        if per_epoch == 0:
            raise UserError(
                f"train.batch_size = {training.batch_size}: is more than the {facts.train_examples} training "
                "examples, so that drop_last leaves no batch"
            )
        rest_of_epoch = 0 if training.drop_last else facts.train_examples % training.batch_size
        if 1 in (training.batch_size, rest_of_epoch) and not trains_on_one(config):
            raise UserError(
                f"train.batch_size = {training.batch_size}: {facts.train_examples} training examples leave a "
                f"batch of a single one, with which {training.model} cannot be trained, as where norms have "
                f"no variance; give another batch size{', or drop_last: true' if rest_of_epoch else ''}"
            )
        total = training.epochs * per_epoch
        check_functions(training, config, total, per_epoch)
        steps = checkpoint_steps(rest, per_epoch, start, total)
        return facts, Extent(per_epoch, total, start, (0,), steps)

    def _facts(self, training: Training, replicate: int) -> DataFacts:
        """Return the facts of a replicate's data, to which the keys of `train` about inputs must fit."""
        rest, config = self._sections.train, data_config(training, replicate)
        facts = probe_data(config, rest)
        check_inputs(training, facts.shape)
        if not facts.missing:
            check_scaling(training, config, rest)
        return facts

    def _imported(self, training: Training, imports: Imports) -> Iterator[Trial]:
        if training.half == "replicate":
            raise UserError(
                "train.half = replicate: of imported networks give 0 or 1, in a table of their files"
            )
        facts = self._facts(training, 0)
        sources = _sources(training)
        for replicate, file in enumerate(import_files(imports.names)):
            trial = make_import(training, replicate, facts.digest, file, imports, sources)
            known = self.trials.get(trial.trial_id, trial)
            if known.setting != trial.setting:
                raise UserError(
                    f"train.imports: {known.import_file} and {file.name} have the same content, but lie in "
                    "tables that say different things of their training"
                )
            yield self._add(trial, Extent(1, 0, 0, (0,), (0,)))

    def _chain(self, dense: Trial, prune: Pruning) -> Trial:
        extent = self.extents[dense.trial_id]
        rewind = _within("prune.rewind", prune.rewind, extent, extent.start)
        assert self._sections.prune is not None
        levels = self._sections.prune.levels
        _check_pruning(self.model(dense), prune, levels)
        kept = (rewind,) if prune.keeps_optimiser else ()
        self._add(dense, replace(extent, checkpoints=(*extent.checkpoints, rewind), optimisers=kept))
        pruned = Extent(
            extent.per_epoch,
            extent.total,
            start=rewind,
            levels=tuple(range(1, levels + 1)),
            checkpoints=(rewind, extent.total),
            requires=(dense.trial_id,),
        )
        return self._add(make_chain(dense, prune, rewind), pruned)

    def branch(
        self,
        chain: Trial,
        branch: str,
        masks: Trial,
        permutation: str | None = None,
        mask_permutations: dict[int, FoundPermutation] | None = None,
    ) -> None:
        """Add a branch of a chain under the masks of a chain (its own or another's)."""
        extent = self.extents[chain.trial_id]
        start = 0 if begins_anew(branch) else extent.start
        assert chain.parent is not None
        self._add(
            make_branch(chain, branch, masks, permutation, self._sections.align),
            replace(
                extent,
                start=start,
                checkpoints=(start, extent.total),
                requires=tuple(dict.fromkeys((chain.parent, chain.trial_id, masks.trial_id))),
                mask_permutations=mask_permutations or {},
            ),
        )


def checkpoint_steps(rest: TrainRest, per_epoch: int, start: int, total: int) -> tuple[int, ...]:
    """Return the steps at which a run stores checkpoints: its start, its end, and the schedule's between."""
    steps: set[int] = set()
    match rest.checkpoints:
        case Every(every=every):
            steps.update(range(0, total, max(1, every.step(per_epoch))))
        case Geometric(first=first, factor=factor):
            at = float(max(1, first.step(per_epoch)))
            while at <= total:
                steps.add(round(at))
                at *= factor
        case list() as moments:
            steps.update(moment.step(per_epoch) for moment in moments)
        case other:
            raise ValueError(f"unknown form of checkpoints {other!r}; valid: every, geometric, a list")
    return tuple(sorted({start, total, *(step for step in steps if start < step < total)}))


def _sources(training: Training) -> dict[str, str]:
    """Return the digests of the files of the user's functions, by the keys that name them."""
    return {key: own.digest() for key, own in training.own_functions().items()}


def _within(key: str, moment: Moment, extent: Extent, first: int) -> int:
    step = moment.step(extent.per_epoch)
    if not first <= step < extent.total:
        raise UserError(
            f"{key} = {moment}: is step {step}, but training goes from step {first} to {extent.total} "
            f"({extent.per_epoch} steps an epoch)"
        )
    return step


def _check_pruning(config: ModelConfig, prune: Pruning, levels: int) -> None:
    sizes = pruned_parameters(config, prune.exclude)
    if not sizes:
        raise UserError("prune.exclude leaves no layer to prune")
    total = sum(sizes.values())
    left, most = float(total), 0
    while left * (1 - prune.fraction) >= 1:
        left *= 1 - prune.fraction
        most += 1
    if levels > most:
        raise UserError(
            f"prune.levels = {levels}: would prune everything; at most {most} levels leave one of the "
            f"{total:,} weights of {config.model} at width {config.width}"
        )
