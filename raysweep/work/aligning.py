"""Carries out the alignment jobs of a tile."""

import time
from collections.abc import Mapping, Sequence
from itertools import chain, combinations
from threading import Lock
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
from raysweep.work.at_once import AtOnce
from raysweep.work.data import pad_to, proved_spec
from raysweep.work.networks import Networks, State
from raysweep.work.unit_values import UnitValues

Indices = Mapping[str, torch.Tensor]


class Aligner:
    """Aligns networks by the methods of a sweep file, on its device."""

    def __init__(self, align: Align, networks: Networks, values: UnitValues, at_once: int = 1) -> None:
        """Carry out as many jobs `at_once`; their number changes no result."""
        self._align, self._networks, self._values = align, networks, values
        self._jobs, self._reading = AtOnce(at_once, align.threads), Lock()

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
        return self._jobs.each(lambda job: self._by_weights(job, trials), jobs)

    def _by_weights(self, job: AlignmentJob, trials: dict[str, Trial]) -> dict[str, Any]:
        began = time.perf_counter()
        with self._reading:  # neither the caches nor tracing are made for several threads
            config = self._config(trials[job.target.trial_id])
            spec = proved_spec(config)
            states = [self._networks.state(network, self._align.device) for network in job.networks]
            if job.embeds:
                wide = self._config(trials[job.networks[1].trial_id])
                wide_spec, padded = proved_spec(wide), pad_to(wide, config, states[0])
        seed = seed_for("alignment", self._align.seed, job.alignment_id)
        if job.embeds:
            embedded = self._embedded((spec, wide_spec), (states[0], states[1]), seed)
            found = _pair(wide_spec, [padded], states[1:], embedded)
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
        device = self._align.device
        config, data = self._networks.architecture_and_data(trials[jobs[0].target.trial_id], device)
        networks = list(dict.fromkeys(network for job in jobs for network in job.networks))
        pairs = list(dict.fromkeys(pair for job in jobs for pair in combinations(job.networks, 2)))
        matrices = self._values.similarities(
            config,
            data.train,
            self._networks.named_states(networks, device),
            [(networks.index(one), networks.index(other)) for one, other in pairs],
        )
        similar, spec = dict(zip(pairs, matrices, strict=True)), proved_spec(config)

        def row(job: AlignmentJob) -> dict[str, Any]:
            with self._reading:
                states = [self._networks.state(network, device) for network in job.networks]
            if job.joint:
                positions = combinations(range(len(states)), 2)
                own = zip(positions, combinations(job.networks, 2), strict=True)
                joint = match_jointly({position: similar[pair] for position, pair in own}, spec.blocks)
                return {"alignment_id": job.alignment_id, **_joint(spec, states, joint)}
            one, other = job.networks
            found = match_similarities(similar[one, other], spec.blocks)
            return {"alignment_id": job.alignment_id, **_pair(spec, states[:1], states[1:], found)}

        rows = self._jobs.each(row, jobs)
        seconds = (time.perf_counter() - began) / len(jobs)
        return [{**each, "seconds": seconds} for each in rows]

    def _config(self, trial: Trial) -> ModelConfig:
        return self._networks.architecture_and_data(trial, self._align.device)[0]

    def _embedded(
        self, specs: tuple[PermutationSpec, PermutationSpec], states: tuple[State, State], seed: int
    ) -> Alignment:
        """Return the permutation of the wide network that brings the units of the narrow one to the front."""
        options = self._align.weight_matching
        found = embed(
            specs[0],
            specs[1],
            states[0],
            states[1],
            seed,
            order=options.order,
            biases=options.biases,
            restarts=options.restarts,
        )
        permutation = found.permutation(specs[1])
        return Alignment(permutation, found.objective, found.objective_identity, found.iterations)

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
