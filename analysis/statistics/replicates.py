"""How many networks would decide a claim that is undecided."""

import math

from scipy.special import stdtrit

from analysis.statistics.deciding import THRESHOLD
from analysis.statistics.jackknife import LEVEL, MINIMUM_NETWORKS

MOST = 50  # networks; for more the answer is that the mean lies at the threshold


def enough(mean: float, low: float, high: float, networks: int) -> int | None:
    """Return the least number of networks with which the interval would leave the threshold, at most `MOST`.

    The mean is taken to stay as it is, which nobody knows, so this is a guide and no promise. The variance of
    a mean over the pairs or triples of n networks falls as 1 / n, and the interval has Student's quantile of
    n - 1 degrees: its half on the side of the threshold is scaled by both. None where no such number is
    enough, or where there is no interval (NaN).
    """
    half = high - mean if mean <= THRESHOLD else mean - low
    away = abs(mean - THRESHOLD)
    if math.isnan(half) or networks < MINIMUM_NETWORKS:
        return None
    now = _width(networks)
    return next((n for n in range(networks + 1, MOST + 1) if half * _width(n) / now <= away), None)


def _width(networks: int) -> float:
    return float(stdtrit(networks - 1, (1 + LEVEL) / 2)) / math.sqrt(networks)
