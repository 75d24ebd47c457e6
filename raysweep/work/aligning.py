"""Carries out the alignment jobs of a tile."""

import time
from collections.abc import Mapping, Sequence
from itertools import chain, combinations
from typing import Any

import torch

from raysweep.alignment import (
    Alignment,
    JointAlignment,
    LayerSimilarity,
    embed,
    joint_matching,
    joint_similarities,
    layer_similarities,
    match_jointly,
    match_similarities,
    weight_matching,
)
from raysweep.choices import choose
from raysweep.digest import seed_for
from raysweep.models.config import ModelConfig
from raysweep.plan.identity import AlignmentJob, Trial
from raysweep.plan.permutations import member_prefix
from raysweep.sweep.align import Align
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.work.data import pad_to, proved_spec
from raysweep.work.networks import Networks, State
from raysweep.work.unit_values import UnitValues

Indices = Mapping[str, torch.Tensor]


class Aligner:
    """Aligns networks by the methods of a sweep file."""

    def __init__(self, align: Align, networks: Networks, values: UnitValues) -> None:
        self._align, self._networks, self._values = align, networks, values

    def rows(self, jobs: Sequence[AlignmentJob], trials: dict[str, Trial]) -> list[dict[str, Any]]:
        """Return the rows of alignment jobs; jobs by activation matching run their networks in one pass.

        Raises `ValueError` for an unknown method, and for a job that its method cannot align.
        """
        methods = {"weight_matching": self._each_by_weights, "activation_matching": self._by_activations}
        by_method: dict[str, list[AlignmentJob]] = {}
        for job in jobs:
            by_method.setdefault(job.method, []).append(job)
        rows = (choose("method", method, methods)(own, trials) for method, own in by_method.items())
        return list(chain.from_iterable(rows))

    def _each_by_weights(self, jobs: list[AlignmentJob], trials: dict[str, Trial]) -> list[dict[str, Any]]:
        return [self._by_weights(job, trials) for job in jobs]

    def _by_weights(self, job: AlignmentJob, trials: dict[str, Trial]) -> dict[str, Any]:
        began = time.perf_counter()
        config, _ = self._networks.architecture_and_data(trials[job.target.trial_id])
        spec = proved_spec(config)
        states = [self._networks.state(network) for network in job.networks]
        seed = seed_for("alignment", self._align.seed, job.alignment_id)
        if job.embeds:
            wide, _ = self._networks.architecture_and_data(trials[job.networks[1].trial_id])
            found = self._embedded(config, wide, states[0], states[1], seed)
        elif job.joint:
            options = self._align.weight_matching
            joint = joint_matching(
                spec, states, seed, order=options.order, biases=options.biases, restarts=options.restarts
            )
            found = _joint(spec, states, joint)
        else:
            targets, sources = states[: job.stack], states[job.stack :]
            found = _pair(spec, targets, sources, self._weights(spec, targets, sources, seed))
        return {"alignment_id": job.alignment_id, **found, "seconds": time.perf_counter() - began}

    def _by_activations(self, jobs: list[AlignmentJob], trials: dict[str, Trial]) -> list[dict[str, Any]]:
        """Align jobs of one setting, whose networks therefore have one architecture and data set."""
        if any(job.embeds or job.stack > 1 for job in jobs):
            raise ValueError("activation_matching aligns neither stacks nor networks of different widths")
        began = time.perf_counter()
        config, data = self._networks.architecture_and_data(trials[jobs[0].target.trial_id])
        networks = list(dict.fromkeys(network for job in jobs for network in job.networks))
        pairs = list(dict.fromkeys(pair for job in jobs for pair in combinations(job.networks, 2)))
        matrices = self._values.similarities(
            config,
            data.train,
            {network: self._networks.state(network) for network in networks},
            [(networks.index(one), networks.index(other)) for one, other in pairs],
        )
        similar, spec, rows = dict(zip(pairs, matrices, strict=True)), proved_spec(config), []
        for job in jobs:
            states = [self._networks.state(network) for network in job.networks]
            if job.joint:
                positions = combinations(range(len(states)), 2)
                own = zip(positions, combinations(job.networks, 2), strict=True)
                found = match_jointly({position: similar[pair] for position, pair in own}, spec.blocks)
                row = _joint(spec, states, found)
            else:
                row = _pair(
                    spec,
                    states[:1],
                    states[1:],
                    match_similarities(similar[job.networks[0], job.networks[1]], spec.blocks),
                )
            rows.append({"alignment_id": job.alignment_id, **row})
        seconds = (time.perf_counter() - began) / len(jobs)
        return [{**row, "seconds": seconds} for row in rows]

    def _embedded(
        self, narrow: ModelConfig, wide: ModelConfig, small: State, large: State, seed: int
    ) -> dict[str, Any]:
        """Return the result for the wide architecture, whose units that match the narrow one come first."""
        spec, options = proved_spec(wide), self._align.weight_matching
        found = embed(
            proved_spec(narrow),
            spec,
            small,
            large,
            seed,
            order=options.order,
            biases=options.biases,
            restarts=options.restarts,
        )
        alignment = Alignment(
            found.permutation(spec), found.objective, found.objective_identity, found.iterations
        )
        return _pair(spec, [pad_to(wide, narrow, small)], [large], alignment)

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


def _pair(
    spec: PermutationSpec, targets: list[State], sources: list[State], found: Alignment
) -> dict[str, Any]:
    layers = layer_similarities(spec, targets, sources, found.permutation)
    return _row(found, found.permutation.indices, layers)


def _joint(spec: PermutationSpec, states: list[State], found: JointAlignment) -> dict[str, Any]:
    indices: dict[str, torch.Tensor] = {}
    for member, permutation in enumerate(found.permutations):
        indices |= _prefixed(member, permutation)
    return _row(found, indices, joint_similarities(spec, states, found.permutations))


def _prefixed(member: int, permutation: Permutation) -> dict[str, torch.Tensor]:
    return {member_prefix(member) + group: index for group, index in permutation.indices.items()}


def _row(
    found: Alignment | JointAlignment, indices: Indices, layers: list[LayerSimilarity]
) -> dict[str, Any]:
    return {
        "objective": found.objective,
        "objective_identity": found.objective_identity,
        "iterations": found.iterations,
        "groups": list(indices),
        "permutations": [index.tolist() for index in indices.values()],
        "layers": [vars(layer) for layer in layers],
    }
