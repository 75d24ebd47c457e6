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


def with_interval(mean: float, low: float, high: float) -> str:
    """Write `0.009 [0.005, 0.014]`, or the mean alone where there is no interval."""
    return f"{mean:z.3f}" if np.isnan(low) else f"{mean:z.3f} [{low:z.3f}, {high:z.3f}]"


def interval(values: Sequence[float], members: Members) -> Interval:
    """Mean of a barrier over pairs or triples.

    A comparison weighs the product of its members' Dirichlet(1, ..., 1) weights, because comparisons
    that share a network are not independent. The draws are seeded, so the same rows give the same interval.
    There is none below four networks, nor where all comparisons depend on the same ones.
    """
    mean = float(np.mean(values))
    if not tells(members):
        return Interval(mean, float("nan"), float("nan"))
    return bounds(mean, mean_draws(values, members))


def tells(members: Members) -> bool:
    """Return whether comparisons tell how their mean varies over networks."""
    return len(names_of(members)) >= MINIMUM_NETWORKS and len({frozenset(group) for group in members}) > 1


def ratio(above: tuple[Sequence[float], Members], below: tuple[Sequence[float], Members]) -> Interval:
    """Ratio of the means of two barriers of the same networks, which are weighted alike in every draw.

    NaN where the mean below is not positive; no interval where one of the two has none.
    """
    nothing = float("nan")
    if not below[0] or np.mean(below[0]) <= 0:
        return Interval(nothing, nothing, nothing)
    value = float(np.mean(above[0]) / np.mean(below[0]))
    if not (tells(above[1]) and tells(below[1])):
        return Interval(value, nothing, nothing)
    names = names_of([*above[1], *below[1]])
    base = mean_draws(*below, names)
    return bounds(value, mean_draws(*above, names) / np.where(base > 0, base, nothing))


def names_of(members: Members) -> list[str]:
    """Return the networks that any of the comparisons depends on, sorted."""
    return sorted({name for group in members for name in group})


def mean_draws(
    values: Sequence[float], members: Members, names: Sequence[str] | None = None, seed: int = 0
) -> np.ndarray:
    """Return the weighted mean of every draw, shape (draws,).

    The same `names` and `seed` mean the same weights; samples of different networks want different seeds,
    so that their weights are independent.
    """
    names = names_of(members) if names is None else names
    index = {name: position for position, name in enumerate(names)}
    draws = np.random.Generator(np.random.PCG64(seed)).dirichlet(np.ones(len(names)), DRAWS)
    weights = np.stack([draws[:, [index[n] for n in group]].prod(axis=1) for group in members], axis=1)
    return (weights @ np.asarray(values, float)) / weights.sum(axis=1)


def bounds(value: float, draws: np.ndarray) -> Interval:
    """Return a value with the 95 % interval of its draws; draws without a value (NaN) are left out."""
    low, high = np.nanquantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
