"""Uncertainty over networks: the delete-one-network jackknife with Student's t, corrected for skewness.

Comparisons that share a network are not independent, but networks are. The mean over all pairs, triples or
cycles of n networks is a U-statistic U. With U_i, the same mean without the comparisons that depend on
network i, its variance is estimated by (n - 1) / n * sum_i d_i^2, where d_i = U_i - mean_i U_i. The
estimate is consistent for U-statistics and functions of several of them, and (U - E U) over its root is
asymptotically like the t statistic of n independent values, whence Student's t of n - 1 degrees of freedom
(Arvesen 1969, Ann. Math. Stat. 40, 2076). In expectation the estimate is never too small (Efron and Stein
1981, Ann. Stat. 9, 586).

Where a few networks stand out on one side, a symmetric interval misses on the other. With the skewness of
the estimate, k = -sum_i d_i^3 / (sum_i d_i^2)^1.5, Hall's transformation T + k T^2 / 3 + k^2 T^3 / 27 + k /
6 is closer to Student's t than T itself (1992, J. R. Stat. Soc. B 54, 221). With few networks k is
uncertain too, so each end is the outer one of both intervals. `python -m tests.benchmarks coverage`
measures how often they hold the true mean.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
MINIMUM_NETWORKS = 4  # with fewer there is no interval
METHOD = "95 % interval: jackknife over networks, t(networks - 1)"  # for figures
NONE = float("nan")
TOO_FEW = "fewer than four networks"
NOT_POSITIVE = "nothing positive to divide by"
NOT_MEASURED = "nothing measured to divide by"
FAR = 1000  # an upper end this many times above both the mean and 1 says no more than that
SHOWN = 3  # comparisons without a value that are named

Members = Sequence[Sequence[str]]  # the networks that each comparison depends on
Sample = tuple[Sequence[float], Members]


@dataclass(frozen=True)
class Interval:
    """A mean over comparisons, or a function of means, with the ends of its 95 % interval.

    The ends are NaN where there is no interval, and `reason` says why.
    """

    mean: float
    low: float
    high: float
    reason: str = ""


def with_interval(mean: float, low: float, high: float) -> str:
    """Return `0.009 [0.005, 0.014]`, or the mean alone where there is no interval.

    Of a ratio to what may well be zero the upper end has no bounds: `0.666 [0.000, over 1000]`.
    """
    if np.isnan(mean):
        return "no mean"
    end = f"over {FAR}" if high > FAR * max(1, mean) else f"{high:z.3f}"
    return f"{mean:z.3f}" if np.isnan(low) else f"{mean:z.3f} [{low:z.3f}, {end}]"


def interval(values: Sequence[float], members: Members, alike: bool = False) -> Interval:
    """Return the mean of a value per comparison (a barrier, a difference of two, a share) with its interval.

    With `alike`, all networks count as drawn from one population, whatever is compared with what (see
    `populations`). There is no interval below four networks, or where leaving one network out leaves nothing.
    Where a value is not finite there is neither a mean nor an interval.
    """
    mean = float(np.mean(values)) if np.isfinite(values).all() else NONE
    groups = [names_of(members)] if alike else populations(members)
    without = left_out((values, members), groups)
    reason = without_interval((values, members), without)
    return Interval(mean, NONE, NONE, reason) if reason else bounds(mean, without)


def ratio(above: Sample, below: Sample) -> Interval:
    """Return the ratio of two means, leaving each network out of both at once.

    Samples without a network in common, as of two widths, are of populations that vary on their own.

    The interval is taken of the logarithm, so that the inverse ratio has the inverse interval; where a mean
    above is at or below zero, it is taken of the ratio itself. The ratio is NaN where a value is missing,
    where there are none below, or where their mean is not positive. There is no interval where that happens
    without one of the networks, or where one of the samples has none.
    """
    lacking = without_value(above) or without_value(below)
    if lacking:
        return Interval(NONE, NONE, NONE, lacking)
    if not len(below[0]):
        return Interval(NONE, NONE, NONE, NOT_MEASURED)
    if not np.mean(below[0]) > 0:
        return Interval(NONE, NONE, NONE, NOT_POSITIVE)
    value = float(np.mean(above[0]) / np.mean(below[0]))
    for sample in (above, below):
        reason = without_interval(sample, left_out(sample, populations(sample[1])))
        if reason:
            return Interval(value, NONE, NONE, reason)
    apart = set(names_of(above[1])).isdisjoint(names_of(below[1]))
    parts = (above[1], below[1]) if apart else ([*above[1], *below[1]],)
    groups = [group for members in parts for group in populations(members)]
    tops, bases = left_out(above, groups), left_out(below, groups)
    if not all((base > 0).all() for base in bases):
        return Interval(value, NONE, NONE, f"{NOT_POSITIVE} without one of the networks")
    shares = [top / base for top, base in zip(tops, bases, strict=True)]
    if value > 0 and all((share > 0).all() for share in shares):
        found = bounds(np.log(value), list(map(np.log, shares)))
        with np.errstate(over="ignore"):
            return Interval(value, float(np.exp(found.low)), float(np.exp(found.high)))
    return bounds(value, shares)


def without_value(sample: Sample) -> str:
    """Return which comparisons of a sample have no finite value; "" where all have one."""
    values, members = sample
    missing = [members[row] for row in np.flatnonzero(~np.isfinite(values)).tolist()]
    if not missing:
        return ""
    names = [" with ".join(group) for group in missing[:SHOWN]] + ["..."] * (len(missing) > SHOWN)
    return f"{len(missing)} of {len(members)} without a finite value: {', '.join(names)}"


def without_interval(sample: Sample, without: Sequence[np.ndarray]) -> str:
    """Return why the mean of a sample has no interval over networks; "" where it has one."""
    lacking = without_value(sample)
    if lacking:
        return lacking
    sizes = list(map(len, without))
    if min(sizes) < MINIMUM_NETWORKS:
        return TOO_FEW + (" of one kind" if sum(sizes) >= MINIMUM_NETWORKS else "")
    if any(np.isnan(each).any() for each in without):
        return "without one of the networks nothing is left to compare"
    return ""


def names_of(members: Members) -> list[str]:
    """Return the networks that any of the comparisons depends on, sorted."""
    return sorted(set(chain.from_iterable(members)))


def populations(members: Members) -> list[list[str]]:
    """Split the networks into the populations that they were drawn from: one or two sorted lists of names.

    There are two where every comparison is between a network of one and a network of the other, as between
    narrow and wide networks: each population then varies on its own. A ring of networks, each compared with
    the next, may look the same.
    """
    partners: dict[str, set[str]] = {}
    for group in members:
        for name in group:
            partners.setdefault(name, set()).update(group)
    names = names_of(members)
    side = dict.fromkeys(names[:1], 0)
    for name in (reached := names[:1]):  # the loop extends the list
        for other in partners[name] - {name}:
            if other not in side:
                side[other] = 1 - side[name]
                reached.append(other)
            elif side[other] == side[name]:
                return [names]
    apart = [[name for name in names if side.get(name) == each] for each in (0, 1)]
    return apart if len(names) == len(side) > 1 else [names]


def left_out(sample: Sample, groups: Iterable[Sequence[str]]) -> list[np.ndarray]:
    """Return the means without each network, as one array for each population."""
    return [means_without(sample, names) for names in groups]


def means_without(sample: Sample, names: Sequence[str]) -> np.ndarray:
    """Return the means over the comparisons that do not depend on each network, shape (names,).

    NaN where there are none.
    """
    values, members = np.asarray(sample[0], float), sample[1]
    place, count = {name: position for position, name in enumerate(names)}, len(names)
    columns = np.array([place.get(name, count) for name in chain.from_iterable(members)], int)
    rows = np.repeat(np.arange(len(members)), list(map(len, members)))
    rows, columns = np.divmod(np.unique(rows * (count + 1) + columns), count + 1)  # a name counts once
    left = len(values) - np.bincount(columns, minlength=count)[:count]
    sums = values.sum() - np.bincount(columns, values[rows], minlength=count)[:count]
    return np.where(left > 0, sums / np.maximum(left, 1), NONE)


def bounds(value: float, without: Iterable[np.ndarray]) -> Interval:
    """Return a statistic with its interval, from its values without each network: one array per population.

    Populations are independent: variances and third moments add up, and the degrees of freedom are those of
    Welch and Satterthwaite (n - 1 of a single population).
    """
    away = [each - each.mean() for each in without]
    sizes = np.array([len(each) for each in away])
    variances = (sizes - 1) / sizes * [(each**2).sum() for each in away]
    variance = float(variances.sum())
    if variance == 0:
        return Interval(value, value, value)
    freedom = variance**2 / float((variances**2 / (sizes - 1)).sum())
    squares = sum(float((each**2).sum()) for each in away)
    skewness = -sum(float((each**3).sum()) for each in away) / squares**1.5
    quantile = float(stdtrit(freedom, (1 + LEVEL) / 2))
    low, high = (_outer(sign * quantile, skewness) * variance**0.5 for sign in (1, -1))
    return Interval(value, value - low, value - high)


def _outer(quantile: float, skewness: float) -> float:
    """Return a quantile of (estimate - value) / standard error: Student's or Hall's, the outer one."""
    if abs(skewness) < 1e-6:
        return quantile
    halls = 3 / skewness * float(np.cbrt(1 + skewness * (quantile - skewness / 6)) - 1)
    return max(quantile, halls) if quantile > 0 else min(quantile, halls)
