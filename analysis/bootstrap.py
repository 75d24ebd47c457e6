"""Uncertainty over networks: the Bayesian bootstrap with Dirichlet weights on the networks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 4000
LEVEL = 0.95
MINIMUM_NETWORKS = 4  # with fewer there is no interval


@dataclass(frozen=True)
class Interval:
    """Mean over comparisons with the ends of its 95 % interval (NaN below four networks)."""

    mean: float
    low: float
    high: float


def interval(values: Sequence[float], members: Sequence[Sequence[str]]) -> Interval:
    """Mean of a barrier over pairs or triples.

    A comparison weighs the product of its members' Dirichlet(1, ..., 1) weights, because comparisons
    that share a network are not independent. The draws are seeded, so the same rows give the same interval.
    """
    numbers = np.asarray(values, float)
    names = sorted({name for group in members for name in group})
    if len(names) < MINIMUM_NETWORKS:
        return Interval(float(numbers.mean()), float("nan"), float("nan"))
    index = {name: position for position, name in enumerate(names)}
    draws = np.random.Generator(np.random.PCG64(0)).dirichlet(np.ones(len(names)), DRAWS)
    weights = np.stack([draws[:, [index[n] for n in group]].prod(axis=1) for group in members], axis=1)
    means = (weights @ numbers) / weights.sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(numbers.mean()), float(low), float(high))
