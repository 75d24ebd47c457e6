"""Carries out one barrier job."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from raysweep.choices import choose
from raysweep.connectivity import barrier, curve, mean_grid, pair_grid, simplex_grid
from raysweep.data.resident import Split
from raysweep.models.config import ModelConfig
from raysweep.plan.identity import BarrierJob, Trial
from raysweep.plan.permutations import CommittedPermutations
from raysweep.sweep.compare import Compare
from raysweep.training.evaluation import Risk
from raysweep.work.data import proved_spec
from raysweep.work.networks import Networks, State


def compare_job(
    job: BarrierJob,
    trials: dict[str, Trial],
    objects: dict[str, str],
    compare: Compare,
    networks: Networks,
    permutations: CommittedPermutations,
) -> Iterator[dict[str, Any]]:
    """Yield a row for each split of the sweep; `objects` maps an alignment id to its object's name."""
    began = time.perf_counter()
    first = trials[job.networks[0].trial_id]
    config, data = networks.architecture_and_data(first, compare.device)
    flat = networks.flat(config, compare.device)
    unpermuted = [networks.padded(member, trials[member.trial_id], config) for member in job.networks]
    states = _permuted(job, unpermuted, objects, config, permutations)
    grid = _grid(job, compare)
    statistics = {"kept": None, "recomputed": networks.split(data, "train")}
    recompute = choose("statistics", job.statistics, statistics)
    for name in compare.splits:
        split = networks.split(data, name)
        where = f"{name} {first.setting}"  # a setting has one architecture and one data set

        def endpoint(index: int, where: str = where, split: Split = split) -> Risk:
            return networks.risk(job.networks[index], unpermuted[index], where, flat, split, recompute)

        line = curve(flat, states, grid, split, recompute, endpoint)
        yield {
            "barrier_id": job.barrier_id,
            "split": name,
            **vars(barrier(line)),
            "curve_weights": line.weights.tolist(),
            "curve_loss": line.loss.tolist(),
            "curve_error": line.error.tolist(),
            "seconds": time.perf_counter() - began,
        }


def _grid(job: BarrierJob, compare: Compare) -> np.ndarray:
    grids = {
        "pair": lambda: pair_grid(compare.alphas),
        "simplex": lambda: simplex_grid(compare.subdivisions),
        "mean": lambda: mean_grid(len(job.networks)),
    }
    return choose("interpolation", job.interpolation, grids)()


def _permuted(
    job: BarrierJob,
    states: list[State],
    objects: dict[str, str],
    config: ModelConfig,
    permutations: CommittedPermutations,
) -> list[State]:
    """Apply the job's permutations to its networks."""
    spec = proved_spec(config)
    return [
        spec.apply(permutations.read(move, objects), state) if move else state
        for state, move in zip(states, job.permutations, strict=True)
    ]
