"""Align and compare the networks of one tile; every unit's numbers are independent of its tile."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from raysweep.alignment import weight_matching
from raysweep.connectivity import barrier, curve, pair_grid, simplex_grid
from raysweep.data.resident import Resident, Split
from raysweep.digest import digest, seed_for
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.identity import AlignmentUnit, BarrierUnit, Network, Trial, data_config
from raysweep.sweep.schema import Align, Compare
from raysweep.training.evaluation import Risk, evaluate
from raysweep.work.data import model_config, proved_spec, resident
from raysweep.work.device import repeatable
from raysweep.work.permutations import Permutations

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Tile:
    """Units of one kind with the trials they touch and, by alignment, the objects where they lie."""

    units: tuple[AlignmentUnit | BarrierUnit, ...]
    trials: dict[str, Trial]
    places: dict[str, str] = field(default_factory=dict)

    @property
    def what(self) -> str:
        return "alignment" if isinstance(self.units[0], AlignmentUnit) else "barrier"

    @property
    def ids(self) -> list[str]:
        return [u.alignment_id if isinstance(u, AlignmentUnit) else u.barrier_id for u in self.units]


class TileWorker:
    """Computes tiles against a store; keeps data, states and endpoint risks between tiles."""

    def __init__(
        self, root: str, align: Align, compare: Compare, data_root: str | None, download: bool
    ) -> None:
        files = Files(root)
        self._trials, self._results = TrialStore(files), ResultStore(files)
        self._align, self._compare = align, compare
        self._source = (data_root, download)
        self._states: dict[Network, State] = {}
        self._risks: dict[tuple[Network, str], Risk] = {}
        self._permutations = Permutations(self._results)
        repeatable(align.threads)

    def run(self, tile: Tile) -> str:
        """Compute all units and commit them as one object; returns its name."""
        rows: list[dict[str, Any]] = []
        for unit in tile.units:
            if isinstance(unit, AlignmentUnit):
                rows.append(self._alignment(unit, tile.trials))
            else:
                rows.extend(self._barrier(unit, tile))
        name = self._results.commit(f"{tile.what}s", digest(sorted(tile.ids)), rows)
        self._forget()
        return name

    def _forget(self, keep: int = 64) -> None:
        while len(self._states) > keep:
            self._states.pop(next(iter(self._states)))

    def _alignment(self, unit: AlignmentUnit, trials: dict[str, Trial]) -> dict[str, Any]:
        began = time.perf_counter()
        config, _ = self._setting(trials[unit.target.trial_id])
        spec = proved_spec(config)
        found = weight_matching(
            spec,
            self._state(unit.target),
            self._state(unit.source),
            seed_for("weight matching", self._align.seed, unit.alignment_id),
        )
        return {
            "alignment_id": unit.alignment_id,
            "objective": found.objective,
            "objective_identity": found.objective_identity,
            "iterations": found.iterations,
            "groups": list(found.permutation.indices),
            "permutations": [index.tolist() for index in found.permutation.indices.values()],
            "seconds": time.perf_counter() - began,
        }

    def _barrier(self, unit: BarrierUnit, tile: Tile) -> Iterable[dict[str, Any]]:
        began = time.perf_counter()
        config, data = self._setting(tile.trials[unit.networks[0].trial_id])
        network = FlatNetwork(build(config))
        states = self._moved(unit, tile, config)
        pair = unit.interpolation == "pair"
        grid = pair_grid(self._compare.alphas) if pair else simplex_grid(self._compare.subdivisions)
        for name in self._compare.splits:
            split = data.test if name == "test" else data.train.first(self._compare.train_examples)
            ends = [self._risk(member, name, network, split) for member in unit.networks]
            line = curve(network, states, ends, grid, split)
            yield {
                "barrier_id": unit.barrier_id,
                "split": name,
                **vars(barrier(line, ends)),
                "curve_weights": line.weights.tolist(),
                "curve_loss": line.loss.tolist(),
                "curve_error": line.error.tolist(),
                "seconds": time.perf_counter() - began,
            }

    def _moved(self, unit: BarrierUnit, tile: Tile, config: ModelConfig) -> list[State]:
        """The states under the unit's moves."""
        states = [self._state(network) for network in unit.networks]
        for position, move in enumerate(unit.moves):
            if move is not None:
                permutation = self._permutations.of(move, tile.places)
                states[position] = proved_spec(config).apply(permutation, states[position])
        return states

    def _setting(self, trial: Trial) -> tuple[ModelConfig, Resident]:
        """The architecture of a trial, and the whole data set on which its networks are compared."""
        whole = data_config(trial.training, trial.replicate).whole()
        data = resident(whole, *self._source, trial.training.scaling)
        return model_config(trial.training, data), data

    def _state(self, network: Network) -> State:
        if network not in self._states:
            state = self._trials.read_checkpoint(network.trial_id, network.level, network.step)
            self._states[network] = state
        return self._states[network]

    def _risk(self, member: Network, name: str, network: FlatNetwork, split: Split) -> Risk:
        if (member, name) not in self._risks:
            network.vector.copy_(network.flatten(self._state(member)))
            self._risks[member, name] = evaluate(network.model, split)
        return self._risks[member, name]
