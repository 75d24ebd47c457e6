"""Uncertainty over networks: the Bayesian bootstrap with Dirichlet weights on the networks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 4000
LEVEL = 0.95
MINIMUM_NETWORKS = 4  # with fewer there is no interval

Members = Sequence[Sequence[str]]  # the networks that each comparison depends on


@dataclass(frozen=True)
class Interval:
    """Mean over comparisons with the ends of its 95 % interval (NaN below four networks)."""

    mean: float
    low: float
    high: float


def interval(values: Sequence[float], members: Members) -> Interval:
    """Mean of a barrier over pairs or triples.

    A comparison weighs the product of its members' Dirichlet(1, ..., 1) weights, because comparisons
    that share a network are not independent. The draws are seeded, so the same rows give the same interval.
    """
    mean = float(np.mean(values))
    names = _names(members)
    if len(names) < MINIMUM_NETWORKS:
        return Interval(mean, float("nan"), float("nan"))
    return _with_ends(mean, _means(values, members, names))


def ratio(above: tuple[Sequence[float], Members], below: tuple[Sequence[float], Members]) -> Interval:
    """Ratio of the means of two barriers of the same networks, which are weighted alike in every draw."""
    value = float(np.mean(above[0]) / np.mean(below[0]))
    names = _names([*above[1], *below[1]])
    if len(names) < MINIMUM_NETWORKS:
        return Interval(value, float("nan"), float("nan"))
    return _with_ends(value, _means(*above, names) / _means(*below, names))


def _names(members: Members) -> list[str]:
    return sorted({name for group in members for name in group})


def _means(values: Sequence[float], members: Members, names: list[str]) -> np.ndarray:
    """The weighted mean of every draw, shape (draws,)."""
    index = {name: position for position, name in enumerate(names)}
    draws = np.random.Generator(np.random.PCG64(0)).dirichlet(np.ones(len(names)), DRAWS)
    weights = np.stack([draws[:, [index[n] for n in group]].prod(axis=1) for group in members], axis=1)
    return (weights @ np.asarray(values, float)) / weights.sum(axis=1)


def _with_ends(mean: float, draws: np.ndarray) -> Interval:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(mean, float(low), float(high))
