"""Carry out one barrier unit."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from raysweep.choices import choose
from raysweep.connectivity import barrier, curve, mean_grid, pair_grid, simplex_grid
from raysweep.data.resident import Split
from raysweep.models.config import ModelConfig
from raysweep.plan.identity import BarrierUnit, Trial
from raysweep.sweep.schema import Compare
from raysweep.training.evaluation import Risk
from raysweep.work.data import proved_spec
from raysweep.work.networks import Networks, State
from raysweep.work.permutations import Permutations


def compare_unit(
    unit: BarrierUnit,
    trials: dict[str, Trial],
    places: dict[str, str],
    compare: Compare,
    networks: Networks,
    permutations: Permutations,
) -> Iterator[dict[str, Any]]:
    """Yield the row of every split."""
    began = time.perf_counter()
    first = trials[unit.networks[0].trial_id]
    config, data = networks.setting(first, compare.device)
    flat = networks.flat(config, compare.device)
    still = [networks.padded(member, trials[member.trial_id], config) for member in unit.networks]
    states = _moved(unit, still, places, config, permutations)
    grid = _grid(unit, compare)
    statistics = {"kept": None, "recomputed": networks.split(data, "train")}
    recompute = choose("statistics", unit.statistics, statistics)
    for name in compare.splits:
        split = networks.split(data, name)
        where = f"{name} {first.group}"  # a group has one architecture and one data set

        def end(place: int, where: str = where, split: Split = split) -> Risk:
            return networks.risk(unit.networks[place], still[place], where, flat, split, recompute)

        line = curve(flat, states, grid, split, recompute, end)
        yield {
            "barrier_id": unit.barrier_id,
            "split": name,
            **vars(barrier(line)),
            "curve_weights": line.weights.tolist(),
            "curve_loss": line.loss.tolist(),
            "curve_error": line.error.tolist(),
            "seconds": time.perf_counter() - began,
        }


def _grid(unit: BarrierUnit, compare: Compare) -> np.ndarray:
    grids = {
        "pair": lambda: pair_grid(compare.alphas),
        "simplex": lambda: simplex_grid(compare.subdivisions),
        "mean": lambda: mean_grid(len(unit.networks)),
    }
    return choose("interpolation", unit.interpolation, grids)()


def _moved(
    unit: BarrierUnit,
    states: list[State],
    places: dict[str, str],
    config: ModelConfig,
    permutations: Permutations,
) -> list[State]:
    """The states under the unit's moves."""
    return [
        proved_spec(config).apply(permutations.of(move, places), state) if move else state
        for state, move in zip(states, unit.moves, strict=True)
    ]
