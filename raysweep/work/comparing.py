"""Carries out one barrier job."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from raysweep.choices import choose
from raysweep.connectivity import (
    NOTHING,
    Mending,
    barrier,
    curve,
    execution,
    mean_grid,
    pair_grid,
    simplex_grid,
)
from raysweep.data.resident import Split
from raysweep.models.config import ModelConfig
from raysweep.plan.identity import BarrierJob, Comparison, Trial
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
    began, comparison = time.perf_counter(), job.comparison
    first = trials[comparison.networks[0].trial_id]
    config, data = networks.architecture_and_data(first, compare.device)
    flat = networks.flat(config, compare.device)
    unpermuted = [networks.padded(member, trials[member.trial_id], config) for member in comparison.networks]
    states = _permuted(comparison, unpermuted, objects, config, permutations)
    grid = _grid(comparison, compare)
    images = networks.split(data, "train").images
    mendings = {"kept": NOTHING, "recomputed": Mending(recompute=images), "repaired": Mending(repair=images)}
    mending = choose("statistics", comparison.statistics, mendings)
    for name in compare.splits:
        split = networks.split(data, name)
        where = f"{name} {first.setting}"  # a setting has one architecture and one data set

        def endpoint(index: int, where: str = where, split: Split = split) -> Risk:
            return networks.risk(comparison.networks[index], unpermuted[index], where, flat, split, mending)

        line = curve(flat, states, grid, split, mending, endpoint)
        yield {
            "barrier_id": job.barrier_id,
            "split": name,
            **vars(barrier(line)),
            "curve_weights": line.weights.tolist(),
            "curve_loss": line.loss.tolist(),
            "curve_error": line.error.tolist(),
            "seconds": time.perf_counter() - began,
            "execution": execution(flat, split, mending),
        }


def _grid(comparison: Comparison, compare: Compare) -> np.ndarray:
    grids = {
        "pair": lambda: pair_grid(compare.alphas),
        "simplex": lambda: simplex_grid(compare.subdivisions),
        "mean": lambda: mean_grid(len(comparison.networks)),
    }
    return choose("interpolation", comparison.interpolation, grids)()


def _permuted(
    comparison: Comparison,
    states: list[State],
    objects: dict[str, str],
    config: ModelConfig,
    permutations: CommittedPermutations,
) -> list[State]:
    """Apply the permutations of a comparison to its networks."""
    spec = proved_spec(config)
    return [
        spec.apply(permutations.read(move, objects), state) if move else state
        for state, move in zip(states, comparison.permutations, strict=True)
    ]
