"""Carries out one barrier job: the risks of a comparison, and what else is measured of it."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

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
from raysweep.connectivity.measuring import Measured, measured
from raysweep.connectivity.outputs import Outputs
from raysweep.data.resident import Split
from raysweep.models.config import ModelConfig
from raysweep.plan.identity import BarrierJob, Comparison, Measure, Trial
from raysweep.plan.permutations import CommittedPermutations
from raysweep.sweep.compare import Compare
from raysweep.sweep.measures import MEASURES
from raysweep.training.evaluation import Risk
from raysweep.work.data import spec_of
from raysweep.work.networks import Networks, State
from raysweep.work.origin import check_source


def compare_job(
    job: BarrierJob,
    trials: dict[str, Trial],
    objects: dict[str, str],
    compare: Compare,
    networks: Networks,
    permutations: CommittedPermutations,
) -> Iterator[tuple[Literal["barriers", "measures"], dict[str, Any]]]:
    """Yield the rows that are missing, for each split of the sweep, with the kind of results they belong to.

    `objects` maps an alignment id to its object's name.
    """
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

        outputs = Outputs(grid, len(split)) if job.measurements else None
        line = curve(flat, states, grid, split, mending, endpoint, outputs)
        if job.risks:
            row = {
                "barrier_id": job.barrier_id,
                "split": name,
                **vars(barrier(line)),
                "curve_weights": line.weights.tolist(),
                "curve_loss": line.loss.tolist(),
                "curve_error": line.error.tolist(),
                "seconds": time.perf_counter() - began,
                "execution": execution(flat, split, mending),
            }
            yield "barriers", row
        if outputs:
            functions = {each.measure.name: measure_of(each.measure) for each in job.measurements}
            found = measured(functions, flat, states, grid, split, outputs, mending)
            for each in job.measurements:
                row = {
                    "measure_id": each.measure_id,
                    "split": name,
                    "parts": [_row(part) for part in found[each.measure.name]],
                    "seconds": time.perf_counter() - began,
                }
                yield "measures", row


def measure_of(measure: Measure) -> Callable[..., Any]:
    """Return the function of a measure. Raises `CodeDiffers` where a user's file is not the planned one."""
    if measure.source:
        check_source(MEASURES.own_function(measure.name), measure.source)
    return MEASURES.function(measure.name)


def _row(part: Measured) -> dict[str, Any]:
    return {**vars(part), "values": part.values.tolist(), "ends": part.ends.tolist()}


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
    """Apply the permutations of a comparison to its networks, all folded where units are rotated."""
    read = [permutations.read(move, objects) if move else None for move in comparison.permutations]
    known = [permutation for permutation in read if permutation]
    if not known:
        return states
    spec, rotated = spec_of(config, *known), {group for each in known for group in each.rotations}
    folded = [spec.folded(state, rotated) for state in states]
    return [spec.apply(each, state) if each else state for each, state in zip(read, folded, strict=True)]
