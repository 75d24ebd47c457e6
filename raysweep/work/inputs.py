"""The inputs of a trial's level: the weights, the masks and the optimiser's state from which it starts."""

from dataclasses import dataclass, field

import torch
from torch import nn

from raysweep.choices import choose
from raysweep.digest import seed_for
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.models.versions import load_state
from raysweep.plan.applied_permutations import FoundPermutation
from raysweep.plan.identity import Trial
from raysweep.plan.permutations import KEPT_BYTES, CommittedPermutations
from raysweep.plan.probes import pruned_parameters
from raysweep.plan.trials import Extent
from raysweep.pruning import Masks, dense_masks, one_shot_masks, prune, random_masks
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.version import Driver, driver
from raysweep.work.data import architecture, proved_spec

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class TrialTask:
    """A trial, its extent, and the names of the objects that hold its alignments, by alignment id.

    `driver` is the process that hands it out.
    """

    trial: Trial
    extent: Extent
    objects: dict[str, str]
    driver: Driver = field(default_factory=driver)


class Inputs:
    """Reads the inputs of a trial's levels from the store."""

    def __init__(self, task: TrialTask, config: ModelConfig, store: TrialStore, results: ResultStore) -> None:
        self._task, self.config, self._store = task, config, store
        self._trial, self._extent = task.trial, task.extent
        self._permutations = CommittedPermutations(results, KEPT_BYTES)

    def model(self) -> nn.Module:
        """Return the network at the start of a level: initialised, or at the parent's rewind point."""
        trial = self._trial
        again = trial.branch == "reinitialise"
        if again or trial.parent is None:
            seed = seed_for("reinitialise", trial.init_seed) if again else trial.init_seed
            return initialised(self.config, trial.training.init, seed, trial.training.init_options)
        model = build(self.config)
        load_state(model, self._store.read_checkpoint(trial.parent, 0, self._extent.start))
        return model

    def template(self) -> nn.Module:
        """Return the module with which trials of this architecture share what is compiled."""
        return architecture(self.config)

    def optimiser(self) -> State:
        """Return the optimiser's initial state: that of the trunk of a spawned run, or of the rewind point.

        It is empty for a trial without a parent, and for a chain that does not keep the optimiser's state.
        """
        trial = self._trial
        kept = trial.prune is not None and trial.prune.keeps_optimiser
        if trial.parent is None or trial.branch == "reinitialise" or not (kept or trial.branch == "spawned"):
            return {}
        return self._store.read_optimiser(trial.parent, 0, self._extent.start)

    def masks(self, level: int) -> Masks:
        """Return the masks of a pruned level; they are empty for a dense run."""
        if self._trial.prune is None:
            return {}
        masks = {
            "main": self._next,
            "one_shot": self._one_shot,
            "random": self._random,
            "reinitialise": self._mask_of_chain,
            "transport": self._transported,
        }
        return choose("branch", self._trial.branch, masks)(level)

    def _one_shot(self, level: int) -> Masks:
        prune, dense = self._trial.prune, self._dense_end()
        assert prune is not None
        masks = dense_masks(dense, self._names())
        return one_shot_masks(dense, masks, prune.fraction, level, prune.scope)

    def _random(self, level: int) -> Masks:
        seed = seed_for("random mask", self._trial.trial_id, level)
        return random_masks(self._mask_of_chain(level), seed)

    def _next(self, level: int) -> Masks:
        """Prune the network at the end of the previous level."""
        trial = self._trial
        assert trial.prune is not None
        if level == 1:
            state = self._dense_end()
            masks = dense_masks(state, self._names())
        else:
            state = self._store.read_checkpoint(trial.trial_id, level - 1, self._extent.total)
            masks = self._mask(trial.trial_id, level - 1)
        return prune(state, masks, trial.prune.fraction, trial.prune.scope)

    def _transported(self, level: int) -> Masks:
        """Permute the other chain's masks in the same way as its weights."""
        masks = self._mask_of_chain(level)
        found: FoundPermutation | None = self._extent.mask_permutations.get(level)
        if found is None:
            return masks
        permutation = self._permutations.read(found, self._task.objects)
        state = {**self._dense_end(), **masks}
        permuted = proved_spec(self.config).apply(permutation, state)
        return {name: permuted[name] for name in masks}

    def _mask_of_chain(self, level: int) -> Masks:
        assert self._trial.mask_trial is not None
        return self._mask(self._trial.mask_trial, level)

    def _mask(self, trial_id: str, level: int) -> Masks:
        """Read masks in the order of the layers, which breaks ties between weights of equal magnitude."""
        masks = self._store.read_mask(trial_id, level)
        return {name: masks[name] for name in self._names()}

    def _dense_end(self) -> State:
        assert self._trial.parent is not None
        return self._store.read_checkpoint(self._trial.parent, 0, self._extent.total)

    def _names(self) -> list[str]:
        assert self._trial.prune is not None
        return list(pruned_parameters(self.config, self._trial.prune.exclude))
