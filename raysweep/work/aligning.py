"""Carries out the alignment jobs of a tile."""

import copy
import time
from collections.abc import Mapping, Sequence
from itertools import combinations
from threading import Lock
from typing import Any

import torch
from torch import nn

from raysweep.alignment import (
    Alignment,
    Embedding,
    JointAlignment,
    LayerSimilarity,
    joint_similarities,
    layer_similarities,
)
from raysweep.alignment.assignments import Matrices
from raysweep.alignment.joint import pairwise_objective
from raysweep.alignment.weight_matching import matched_spec
from raysweep.data.resident import Resident
from raysweep.digest import seed_for
from raysweep.models.config import ModelConfig
from raysweep.plan.identity import AlignmentJob, Network, Trial
from raysweep.plan.permutations import member_prefix
from raysweep.sweep.align import Align
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.work.at_once import AtOnce
from raysweep.work.data import architecture, pad_to, proved_spec, rotated_spec, scaled_spec, spec_of
from raysweep.work.methods import Method, method_of, permutations_of
from raysweep.work.networks import Networks, State
from raysweep.work.offering import offer_of
from raysweep.work.resuming import Resuming
from raysweep.work.unit_values import UnitValues

Indices = Mapping[str, torch.Tensor]
Row = dict[str, Any]
Similar = Mapping[tuple[Network, Network], Matrices]  # of the units of a pair, by layer group


class Aligner:
    """Aligns networks by the methods of a sweep file, on its device."""

    def __init__(
        self, align: Align, networks: Networks, values: UnitValues, resuming: Resuming, at_once: int = 1
    ) -> None:
        """Carry out as many jobs `at_once`; their number changes no result."""
        self._align, self._networks, self._values, self._resuming = align, networks, values, resuming
        self._jobs, self._reading = AtOnce(at_once, align.threads), Lock()

    def rows(self, jobs: Sequence[AlignmentJob], trials: dict[str, Trial]) -> list[Row]:
        """Return the rows of alignment jobs; where a method compares units, the networks run in one pass.

        Jobs of one method are of one setting, whose networks have one architecture and data set. Raises
        `ValueError` for an unknown method, for a job that its method cannot align, and for permutations that
        do not fit the networks; `CodeDiffers` where a user's file is not the one that was planned with.
        """
        by_method: dict[str, list[AlignmentJob]] = {}
        for job in jobs:
            by_method.setdefault(job.method, []).append(job)
        return [row for own in by_method.values() for row in self._by_one_method(own, trials)]

    def _by_one_method(self, jobs: list[AlignmentJob], trials: dict[str, Trial]) -> list[Row]:
        began = time.perf_counter()
        methods = {job.alignment_id: method_of(job, self._align) for job in jobs}
        compared = [job for job in jobs if methods[job.alignment_id].takes("similarities")]
        similar = self._similarities(compared, trials) if compared else {}
        shared = (time.perf_counter() - began) / len(jobs)

        def row(job: AlignmentJob) -> Row:
            began = time.perf_counter()
            align = self._embedded if job.embeds else self._aligned
            found = align(job, methods[job.alignment_id], trials, similar)
            seconds = shared + time.perf_counter() - began
            return {"alignment_id": job.alignment_id, **found, "seconds": seconds}

        return self._jobs.each(row, jobs)

    def _aligned(self, job: AlignmentJob, method: Method, trials: dict[str, Trial], similar: Similar) -> Row:
        with self._reading:  # neither the caches nor tracing are made for several threads
            config, data = self._architecture(job.target, trials)
            spec, states = proved_spec(config), self._states(job)
            inputs = self._networks.inputs(job.networks)
            if method.takes("models"):
                architecture(config)  # building it draws from the global generators
        targets, sources = states[: job.stack], states[job.stack :]
        given = [_copied(state) for state in states] if method.own else states  # it may write into them
        offer = offer_of(
            spec,
            given,
            scaled_spec=lambda: scaled_spec(config),
            rotated_spec=lambda: rotated_spec(config),
            models=lambda: self._modules(config, given),
            images=lambda: data.train.first(method.examples).images,
            labels=lambda: data.train.first(method.examples).labels,
            similarities=lambda: _similarities_of(job, similar),
            progress=lambda: self._resuming.of(job, inputs),
            stack=job.stack,
        )
        found = method(offer, self._seed(job))
        if isinstance(found, JointAlignment):
            return _joint(spec, states, found.permutations) | _counted(found)
        if isinstance(found, Alignment):
            fitting = spec_of(config, found.permutation)
            return _pair(fitting, targets, sources, found.permutation) | _counted(found)
        permutations = permutations_of(found, spec, len(states), job.method)
        if job.joint:
            return _joint(spec, states, permutations) | _valued(spec, states, permutations)
        first, second = permutations
        moved = first.inverse().compose(second)
        alone = [Permutation.identity(spec.sizes), moved]
        return _pair(spec, targets, sources, moved) | _valued(spec, states, alone)

    def _embedded(self, job: AlignmentJob, method: Method, trials: dict[str, Trial], similar: Similar) -> Row:
        """Find the permutation of the wide network that brings the units of the narrow one to the front."""
        with self._reading:
            config, wide = (self._architecture(network, trials)[0] for network in job.networks)
            specs, states = (proved_spec(config), proved_spec(wide)), self._states(job)
            padded = pad_to(wide, config, states[0])
        offer = {
            "narrow_spec": lambda: specs[0],
            "wide_spec": lambda: specs[1],
            "narrow": lambda: states[0],
            "wide": lambda: states[1],
        }
        found: Embedding = method(offer, self._seed(job))
        return _pair(specs[1], [padded], states[1:], found.permutation(specs[1])) | _counted(found)

    def _similarities(self, jobs: list[AlignmentJob], trials: dict[str, Trial]) -> Similar:
        """Return the similarities of the units of all pairs of networks that the jobs have."""
        config, data = self._architecture(jobs[0].target, trials)
        networks = list(dict.fromkeys(network for job in jobs for network in job.networks))
        pairs = list(dict.fromkeys(pair for job in jobs for pair in combinations(job.networks, 2)))
        matrices = self._values.similarities(
            config,
            data.train,
            self._networks.named_states(networks, self._align.device),
            [(networks.index(one), networks.index(other)) for one, other in pairs],
        )
        return dict(zip(pairs, matrices, strict=True))

    def _architecture(self, network: Network, trials: dict[str, Trial]) -> tuple[ModelConfig, Resident]:
        return self._networks.architecture_and_data(trials[network.trial_id], self._align.device)

    def _states(self, job: AlignmentJob) -> list[State]:
        return [self._networks.state(network, self._align.device) for network in job.networks]

    def _modules(self, config: ModelConfig, states: Sequence[State]) -> list[nn.Module]:
        modules = [copy.deepcopy(architecture(config)).eval() for _ in states]
        for module, state in zip(modules, states, strict=True):
            module.load_state_dict(state, assign=True)
        return modules

    def _seed(self, job: AlignmentJob) -> int:
        return seed_for("alignment", self._align.seed, job.alignment_id)


def _copied(state: State) -> State:
    return {name: tensor.clone() for name, tensor in state.items()}


def _similarities_of(job: AlignmentJob, similar: Similar) -> Matrices | dict[tuple[int, int], Matrices]:
    """Return what was found for the pair of a job, or for each pair of several networks by their places."""
    if not job.joint:
        return similar[job.networks[0], job.networks[1]]
    places = combinations(range(len(job.networks)), 2)
    return dict(zip(places, (similar[pair] for pair in combinations(job.networks, 2)), strict=True))


def _pair(spec: PermutationSpec, targets: list[State], sources: list[State], permutation: Permutation) -> Row:
    rotated = permutation.rotations
    ones, others = ([spec.folded(state, rotated) for state in states] for states in (targets, sources))
    layers = layer_similarities(spec, ones, others, permutation)
    return _row(permutation.indices, layers) | {
        "factors": _listed(permutation, permutation.factors),
        "rotations": _listed(permutation, permutation.rotations),
    }


def _joint(spec: PermutationSpec, states: list[State], permutations: Sequence[Permutation]) -> Row:
    indices: dict[str, torch.Tensor] = {}
    for member, permutation in enumerate(permutations):
        indices |= _prefixed(member, permutation)
    return _row(indices, joint_similarities(spec, states, permutations))


def _prefixed(member: int, permutation: Permutation) -> dict[str, torch.Tensor]:
    return {member_prefix(member) + group: index for group, index in permutation.indices.items()}


def _row(indices: Indices, layers: list[LayerSimilarity]) -> Row:
    return {
        "groups": list(indices),
        "permutations": [index.tolist() for index in indices.values()],
        "factors": None,
        "rotations": None,
        "layers": [vars(layer) for layer in layers],
    }


def _listed(permutation: Permutation, numbers: Mapping[str, torch.Tensor]) -> list[list[float]] | None:
    """Return the numbers of each group, such as its factors, in one list; None where no group has any."""
    if not numbers:
        return None
    return [numbers[group].flatten().tolist() if group in numbers else [] for group in permutation.indices]


def _counted(found: Alignment | JointAlignment | Embedding) -> Row:
    return {name: getattr(found, name) for name in ("objective", "objective_identity", "iterations")}


def _valued(spec: PermutationSpec, states: list[State], permutations: Sequence[Permutation]) -> Row:
    """Return the inner products of the networks, for a method that found permutations and nothing else."""
    names, identity = matched_spec(spec).axes, [Permutation.identity(spec.sizes)] * len(states)
    return {
        "objective": pairwise_objective(spec, states, permutations, names),
        "objective_identity": pairwise_objective(spec, states, identity, names),
        "iterations": None,
    }
