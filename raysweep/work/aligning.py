"""Carry out one alignment unit."""

import time
from collections.abc import Mapping
from typing import Any

import torch

from raysweep.alignment import (
    Activations,
    Alignment,
    activation_matching,
    collect_activations,
    joint_matching,
    layer_similarities,
    weight_matching,
)
from raysweep.digest import seed_for
from raysweep.models.build import build
from raysweep.sweep.identity import AlignmentUnit, Network, Trial
from raysweep.sweep.permuting import member_prefix
from raysweep.sweep.schema import Align
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.work.data import proved_spec
from raysweep.work.networks import Networks, State

KEPT = 16  # networks whose activations stay in memory
Indices = Mapping[str, torch.Tensor]


class Aligner:
    """Aligns networks by the methods of a sweep file; collects the activations of each network once."""

    def __init__(self, align: Align, networks: Networks) -> None:
        self._align, self._networks = align, networks
        self._activations: dict[Network, Activations] = {}

    def row(self, unit: AlignmentUnit, trials: dict[str, Trial]) -> dict[str, Any]:
        """Return the row of a pair or of a joint alignment."""
        began = time.perf_counter()
        trial = trials[unit.target.trial_id]
        config, _ = self._networks.setting(trial)
        spec = proved_spec(config)
        states = [self._networks.state(network) for network in unit.networks]
        seed = seed_for("alignment", self._align.seed, unit.alignment_id)
        if unit.joint:
            found = _joint(spec, states, seed)
        elif unit.method == "weight_matching":
            targets, sources = states[: unit.stack], states[unit.stack :]
            found = _pair(spec, targets[0], sources[0], self._weights(spec, targets, sources, seed))
        else:
            target, source = states
            found = _pair(spec, target, source, self._matched_activations(unit, trial))
        return {"alignment_id": unit.alignment_id, **found, "seconds": time.perf_counter() - began}

    def _weights(
        self, spec: PermutationSpec, targets: list[State], sources: list[State], seed: int
    ) -> Alignment:
        options = self._align.weight_matching
        return weight_matching(
            spec,
            targets,
            sources,
            seed,
            kernel=options.kernel,
            order=options.order,
            biases=options.biases,
            restarts=options.restarts,
        )

    def _matched_activations(self, unit: AlignmentUnit, trial: Trial) -> Alignment:
        target, source = (self._activations_of(network, trial) for network in unit.networks)
        return activation_matching(target, source, self._align.activation_matching.similarity)

    def _activations_of(self, network: Network, trial: Trial) -> Activations:
        if network not in self._activations:
            while len(self._activations) >= KEPT:
                self._activations.pop(next(iter(self._activations)))
            config, data = self._networks.setting(trial)
            model = build(config)
            model.load_state_dict(self._networks.state(network))
            options = self._align.activation_matching
            images = data.train.first(options.examples).images
            self._activations[network] = collect_activations(model, images, options.tensor)
        return self._activations[network]


def _pair(spec: PermutationSpec, target: State, source: State, found: Alignment) -> dict[str, Any]:
    layers = layer_similarities(spec, target, source, found.permutation)
    return {
        "objective": found.objective,
        "objective_identity": found.objective_identity,
        "iterations": found.iterations,
        **_columns(found.permutation.indices),
        "layers": [vars(layer) for layer in layers],
    }


def _joint(spec: PermutationSpec, states: list[State], seed: int) -> dict[str, Any]:
    found = joint_matching(spec, states, seed)
    indices: dict[str, torch.Tensor] = {}
    for member, permutation in enumerate(found.permutations):
        indices |= _prefixed(member, permutation)
    return {
        "objective": found.objective,
        "objective_identity": found.objective_identity,
        "iterations": found.iterations,
        **_columns(indices),
        "layers": [],
    }


def _prefixed(member: int, permutation: Permutation) -> dict[str, torch.Tensor]:
    return {member_prefix(member) + group: index for group, index in permutation.indices.items()}


def _columns(indices: Indices) -> dict[str, Any]:
    return {"groups": list(indices), "permutations": [index.tolist() for index in indices.values()]}
