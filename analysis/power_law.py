"""How fast a barrier falls with width: a power law through the means, by least squares of the logarithms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from analysis.bootstrap import MINIMUM_NETWORKS, Interval, Members, bounds, mean_draws, names_of

MINIMUM_WIDTHS = 3  # two points lie on any power law

Sample = tuple[Sequence[float], Members]  # barriers of one width and the networks that each depends on


@dataclass(frozen=True)
class PowerLaw:
    """`barrier = factor * width ** exponent`, with the exponent's 95 % interval.

    `widths` were fitted; `censored` were left out, because their mean barrier is at or below zero. `draws`
    are the factors and exponents of the bootstrap, shape (2, draws); there are none without an interval.
    """

    exponent: Interval
    factor: float
    widths: tuple[int, ...]
    censored: tuple[int, ...]
    draws: np.ndarray = field(compare=False, repr=False)

    def line(self, widths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the barrier (nats) and the ends of its 95 % interval (NaN: none) at widths of shape (n,)."""
        value = self.factor * widths**self.exponent.mean
        if np.isnan(self.exponent.low):
            return value, np.full_like(value, np.nan), np.full_like(value, np.nan)
        factors, exponents = self.draws[:, :, None]
        ends = [bounds(0.0, drawn) for drawn in (factors * widths**exponents).T]
        return value, np.array([each.low for each in ends]), np.array([each.high for each in ends])

    @property
    def power(self) -> str:
        """The exponent with its interval: `-1.50 [-1.61, -1.42]`."""
        value = self.exponent
        return f"{value.mean:.2f}" + ("" if np.isnan(value.low) else f" [{value.low:.2f}, {value.high:.2f}]")

    def __str__(self) -> str:
        left = ", ".join(map(str, self.censored))
        out = f"; left out, at or below zero: {left}" if left else ""
        return f"width^{self.power} ({len(self.widths)} widths{out})"


def power_law(samples: Mapping[int, Sample]) -> PowerLaw | None:
    """Fit the mean barriers (nats) by width; None where fewer than three widths have a positive one.

    The interval is the Bayesian bootstrap's: networks of different widths are different networks, so every
    width has Dirichlet weights of its own, and each draw is fitted anew (without the widths at which its
    mean is at or below zero). There is none where a width has fewer than four networks.
    """
    means = {width: float(np.mean(values)) for width, (values, _) in sorted(samples.items())}
    kept = tuple(width for width, mean in means.items() if mean > 0)
    if len(kept) < MINIMUM_WIDTHS:
        return None
    censored = tuple(width for width in means if width not in kept)
    slopes, factors = _fit(kept, np.array([[means[width] for width in kept]]))
    exponent, drawn = Interval(float(slopes[0]), float("nan"), float("nan")), np.empty((2, 0))
    if all(len(names_of(samples[width][1])) >= MINIMUM_NETWORKS for width in kept):
        draws = np.stack([mean_draws(*samples[width], seed=width) for width in kept], axis=1)
        drawn = np.stack(_fit(kept, draws)[::-1])
        exponent = bounds(exponent.mean, drawn[1])
    return PowerLaw(exponent, float(factors[0]), kept, censored, drawn)


def _fit(widths: Sequence[int], means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and factors, each of shape (draws,), of means of shape (draws, widths).

    NaN where a draw has fewer than three positive means.
    """
    used = means > 0
    x = np.broadcast_to(np.log(np.asarray(widths, float)), means.shape)
    y = np.log(np.where(used, means, 1.0))
    count = np.where(used.sum(axis=1) < MINIMUM_WIDTHS, np.nan, used.sum(axis=1))
    mean_x, mean_y = (x * used).sum(axis=1) / count, (y * used).sum(axis=1) / count
    away = (x - mean_x[:, None]) * used
    slopes = (away * y).sum(axis=1) / (away**2).sum(axis=1)
    return slopes, np.exp(mean_y - slopes * mean_x)
