"""The inputs of a trial's level: the weights, the masks and the optimiser's state from which it starts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

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
from raysweep.pruning import Masks, dense_masks, prune
from raysweep.registry import taken
from raysweep.store.inputs import Known, changed_inputs, level_of, named_input, split_input, stored_objects
from raysweep.store.records import LevelRecord
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.branches import BRANCHES, OFFERED, begins_anew
from raysweep.version import Driver, driver
from raysweep.vocabulary import Branch
from raysweep.work.data import architecture, spec_of

NOTHING = LevelRecord(0)
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
    """Reads the inputs of a level of a trial from the store; `noted` says what was read, as in a record."""

    def __init__(self, task: TrialTask, config: ModelConfig, store: TrialStore, results: ResultStore) -> None:
        self._task, self.config, self._store = task, config, store
        self._trial, self._extent = task.trial, task.extent
        self._permutations = CommittedPermutations(results, KEPT_BYTES)
        self._noted: dict[str, None] = {}

    @property
    def noted(self) -> tuple[str, ...]:
        return tuple(self._noted)

    def fit(self, inputs: Sequence[str]) -> bool:
        """Whether none of these inputs of a level has other bits now. Raises `CorruptObject`."""
        names = [split_input(text)[0] for text in inputs]
        levels = {level for name in names if (level := level_of(name))}
        known = [Known.of(stored_objects({level: self._store.record(*level) or NOTHING for level in levels}))]
        found = [name for name in names if name in self._task.objects]
        now = map(split_input, self._permutations.inputs(found, self._task.objects))
        return not changed_inputs(inputs, [*known, Known.of(dict(now))])

    def model(self) -> nn.Module:
        """Return the network at the start of a level: initialised, or at the parent's rewind point."""
        trial = self._trial
        again = begins_anew(trial.branch)
        if again or trial.parent is None:
            seed = seed_for("reinitialise", trial.init_seed) if again else trial.init_seed
            return initialised(self.config, trial.training.init, seed, trial.training.init_options)
        model = build(self.config)
        load_state(model, self._weights(trial.parent, 0, self._extent.start))
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
        spawned = trial.branch == Branch.SPAWNED
        if trial.parent is None or begins_anew(trial.branch) or not (kept or spawned):
            return {}
        self._note((trial.parent, 0), f"{self._extent.start} optimiser")
        return self._store.read_optimiser(trial.parent, 0, self._extent.start)

    def masks(self, level: int) -> Masks:
        """Return the masks of a pruned level; they are empty for a dense run."""
        if self._trial.prune is None:
            return {}
        if self._trial.branch == Branch.MAIN:
            return self._next(level)
        return self._of_branch(level)

    def _of_branch(self, level: int) -> Masks:
        """Return the masks of a control; what its function does not take is not read."""
        trial, prune = self._trial, self._trial.prune
        assert prune is not None
        function = BRANCHES.function(trial.branch)
        offered: dict[str, Callable[[], Any]] = {
            "masks": lambda: self._transported(level),
            "state": self._dense_end,
            "level": lambda: level,
            "fraction": lambda: prune.fraction,
            "scope": lambda: prune.scope,
            "seed": lambda: seed_for("random mask", trial.trial_id, level),
        }
        found: Masks = function(**{name: offered[name]() for name in taken(function, OFFERED)})
        return found

    def _next(self, level: int) -> Masks:
        """Prune the network at the end of the previous level."""
        trial = self._trial
        assert trial.prune is not None
        if level == 1:
            state = self._dense_end()
            masks = dense_masks(state, self._names())
        else:
            state = self._weights(trial.trial_id, level - 1, self._extent.total)
            masks = self._mask(trial.trial_id, level - 1)
        return prune(state, masks, trial.prune.fraction, trial.prune.scope)

    def _transported(self, level: int) -> Masks:
        """Return the masks of the chain, or those of another, permuted in the same way as its weights."""
        assert self._trial.mask_trial is not None
        masks = self._mask(self._trial.mask_trial, level)
        found: FoundPermutation | None = self._extent.mask_permutations.get(level)
        if found is None:
            return masks
        permutation = self._permutations.read(found, self._task.objects)
        texts = self._permutations.inputs([found.alignment_id], self._task.objects)
        self._noted |= dict.fromkeys(texts)
        state = {**self._dense_end(), **masks}
        permuted = spec_of(self.config, permutation).apply(permutation, state)
        return {name: permuted[name] for name in masks}

    def _mask(self, trial_id: str, level: int) -> Masks:
        """Read masks in the order of the layers, which breaks ties between weights of equal magnitude."""
        self._note((trial_id, level), "mask")
        masks = self._store.read_mask(trial_id, level)
        return {name: masks[name] for name in self._names()}

    def _weights(self, trial_id: str, level: int, step: int) -> State:
        self._note((trial_id, level), str(step))
        return self._store.read_checkpoint(trial_id, level, step)

    def _note(self, level: tuple[str, int], what: str) -> None:
        """Note an object before it is read: if it is replaced just then, the level counts as outdated."""
        name = f"{level[0]}@{level[1]}@{what}"
        stored = stored_objects({level: self._store.record(*level) or NOTHING})
        if name in stored:
            self._noted[named_input(name, stored[name])] = None

    def _dense_end(self) -> State:
        assert self._trial.parent is not None
        return self._weights(self._trial.parent, 0, self._extent.total)

    def _names(self) -> list[str]:
        assert self._trial.prune is not None
        return list(pruned_parameters(self.config, self._trial.prune.exclude))
