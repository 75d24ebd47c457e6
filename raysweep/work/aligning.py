"""Carry out one alignment unit."""

import time
from collections.abc import Mapping
from typing import Any

import torch

from raysweep.alignment import joint_matching, layer_similarities, weight_matching
from raysweep.digest import seed_for
from raysweep.sweep.identity import AlignmentUnit, Trial
from raysweep.sweep.schema import Align, WeightMatching
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.work.data import proved_spec
from raysweep.work.networks import Networks, State
from raysweep.work.permutations import member_prefix

Indices = Mapping[str, torch.Tensor]


class Aligner:
    """Aligns networks by the methods of a sweep file."""

    def __init__(self, align: Align, networks: Networks) -> None:
        self._align, self._networks = align, networks

    def row(self, unit: AlignmentUnit, trials: dict[str, Trial]) -> dict[str, Any]:
        """Return the row of a pair or of a joint alignment."""
        began = time.perf_counter()
        config, _ = self._networks.setting(trials[unit.target.trial_id])
        spec = proved_spec(config)
        states = [self._networks.state(network) for network in unit.networks]
        seed = seed_for("alignment", self._align.seed, unit.alignment_id)
        options = self._align.weight_matching
        found = _joint(spec, states, seed) if unit.joint else _pair(spec, states, seed, options)
        return {"alignment_id": unit.alignment_id, **found, "seconds": time.perf_counter() - began}


def _pair(spec: PermutationSpec, states: list[State], seed: int, options: WeightMatching) -> dict[str, Any]:
    target, source = states
    found = weight_matching(
        spec,
        target,
        source,
        seed,
        order=options.order,
        biases=options.biases,
        restarts=options.restarts,
    )
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
