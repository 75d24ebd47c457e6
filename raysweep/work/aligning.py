"""Carry out the alignment units of a tile."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from raysweep.alignment import (
    Alignment,
    embed,
    joint_matching,
    layer_similarities,
    match_activations,
    weight_matching,
)
from raysweep.digest import seed_for
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.sweep.identity import AlignmentUnit, Network, Trial
from raysweep.sweep.permuting import member_prefix
from raysweep.sweep.schema import Align
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.work.data import pad_to, proved_spec
from raysweep.work.networks import Networks, State

Indices = Mapping[str, torch.Tensor]


class Aligner:
    """Aligns networks by the methods of a sweep file."""

    def __init__(self, align: Align, networks: Networks) -> None:
        self._align, self._networks = align, networks

    def rows(self, units: Sequence[AlignmentUnit], trials: dict[str, Trial]) -> list[dict[str, Any]]:
        """Return the rows of pairs and joint alignments; by activations all pairs of a tile in one pass."""
        streamed = [unit for unit in units if unit.method == "activation_matching"]
        rows = [self._by_weights(unit, trials) for unit in units if unit not in streamed]
        return rows + (self._by_activations(streamed, trials) if streamed else [])

    def _by_weights(self, unit: AlignmentUnit, trials: dict[str, Trial]) -> dict[str, Any]:
        began = time.perf_counter()
        config, _ = self._networks.setting(trials[unit.target.trial_id])
        spec = proved_spec(config)
        states = [self._networks.state(network) for network in unit.networks]
        seed = seed_for("alignment", self._align.seed, unit.alignment_id)
        if unit.embeds:
            wide, _ = self._networks.setting(trials[unit.networks[1].trial_id])
            found = self._embedded(config, wide, states[0], states[1], seed)
        elif unit.joint:
            found = _joint(spec, states, seed)
        else:
            targets, sources = states[: unit.stack], states[unit.stack :]
            found = _pair(spec, targets[0], sources[0], self._weights(spec, targets, sources, seed))
        return {"alignment_id": unit.alignment_id, **found, "seconds": time.perf_counter() - began}

    def _by_activations(self, units: list[AlignmentUnit], trials: dict[str, Trial]) -> list[dict[str, Any]]:
        """The units of a tile are of one group, so that their networks have one architecture and data set."""
        began, options = time.perf_counter(), self._align.activation_matching
        config, data = self._networks.setting(trials[units[0].target.trial_id])
        networks = list(dict.fromkeys(network for unit in units for network in unit.networks))
        found = match_activations(
            [self._model(config, network) for network in networks],
            data.train.first(options.examples).images,
            [(networks.index(unit.networks[0]), networks.index(unit.networks[1])) for unit in units],
            options.tensor,
            options.similarity,
        )
        seconds = (time.perf_counter() - began) / len(units)
        rows = []
        for unit, each in zip(units, found, strict=True):
            target, source = (self._networks.state(network) for network in unit.networks)
            row = _pair(proved_spec(config), target, source, each)
            rows.append({"alignment_id": unit.alignment_id, **row, "seconds": seconds})
        return rows

    def _embedded(
        self, narrow: ModelConfig, wide: ModelConfig, small: State, large: State, seed: int
    ) -> dict[str, Any]:
        """The units that match the narrow network come first; the row speaks of the wide architecture."""
        spec = proved_spec(wide)
        found = embed(proved_spec(narrow), spec, small, large, seed, order=self._align.weight_matching.order)
        alignment = Alignment(
            found.permutation(spec), found.objective, found.objective_identity, found.iterations
        )
        return _pair(spec, pad_to(wide, narrow, small), large, alignment)

    def _model(self, config: ModelConfig, network: Network) -> nn.Module:
        model = build(config)
        model.load_state_dict(self._networks.state(network))
        return model

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
