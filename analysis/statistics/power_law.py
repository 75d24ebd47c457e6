"""How fast a barrier falls with width: a power law through the means, by least squares of the logarithms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from analysis.statistics.jackknife import Interval, Sample, bounds, left_out, populations, without_interval

MINIMUM_WIDTHS = 3  # two points lie on any power law
NONE = float("nan")

Logarithms = list[np.ndarray]  # of the means of one width without each of its networks, by population


@dataclass(frozen=True)
class PowerLaw:
    """`barrier = factor * width ** exponent`, with the exponent's 95 % interval.

    `widths` are those that were fitted. Two kinds were left out: `censored` ones, whose mean barrier is at or
    below zero, and `unknown` ones, whose mean is not a number. `without` has the logarithms of each fitted
    width and is empty where there is no interval.
    """

    exponent: Interval
    factor: float
    widths: tuple[int, ...]
    censored: tuple[int, ...]
    unknown: tuple[int, ...]
    without: list[Logarithms] = field(compare=False, repr=False)

    def line(self, widths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the barrier (nats) and the ends of its 95 % interval (NaN: none) at widths of shape (n,)."""
        value = self.factor * widths**self.exponent.mean
        if not self.without:
            return value, np.full_like(value, NONE), np.full_like(value, NONE)
        slopes = np.log(widths / _centre(self.widths))[:, None] * _slopes(self.widths)
        found = map(self._at, np.log(value), slopes + 1 / len(self.widths))
        return value, *np.exp(np.array([(each.low, each.high) for each in found])).T

    def _at(self, value: float, coefficients: np.ndarray) -> Interval:
        return _combined(value, coefficients, self.without)

    @property
    def power(self) -> str:
        """The exponent with its interval: `-1.50 [-1.61, -1.42]`."""
        value = self.exponent
        return f"{value.mean:z.2f}" + (
            "" if np.isnan(value.low) else f" [{value.low:z.2f}, {value.high:z.2f}]"
        )

    def __str__(self) -> str:
        left = {"at or below zero": self.censored, "not a number": self.unknown}
        out = "".join(f"; left out, {reason}: {', '.join(map(str, at))}" for reason, at in left.items() if at)
        reason = f"; no interval: {self.exponent.reason}" if self.exponent.reason else ""
        return f"width^{self.power} ({len(self.widths)} widths{out}{reason})"


def power_law(samples: Mapping[int, Sample]) -> PowerLaw | None:
    """Fit the mean barriers (nats) by width; None where fewer than three widths have a positive one.

    Exponent and logarithm of the factor are linear in the logarithms of the means. Networks of different
    widths are different networks, so leaving out one changes the mean of its width alone, and the variances
    of the widths add up. There is no interval where a width has none, or no positive mean without one of its
    networks.
    """
    means = {width: float(np.mean(values)) for width, (values, _) in sorted(samples.items())}
    kept = tuple(width for width, mean in means.items() if mean > 0)
    if len(kept) < MINIMUM_WIDTHS:
        return None
    logs = np.log([means[width] for width in kept])
    slopes = _slopes(kept)
    slope = float(slopes @ logs)
    factor = float(np.exp(logs.mean())) / _centre(kept) ** slope
    without = [left_out(samples[width], populations(samples[width][1])) for width in kept]
    reason = next(filter(None, map(_reason, kept, (samples[width] for width in kept), without)), "")
    logarithms = [] if reason else [[np.log(each) for each in parts] for parts in without]
    exponent = Interval(slope, NONE, NONE, reason) if reason else _combined(slope, slopes, logarithms)
    censored = tuple(width for width, mean in means.items() if mean <= 0)
    unknown = tuple(width for width, mean in means.items() if np.isnan(mean))
    return PowerLaw(exponent, factor, kept, censored, unknown, logarithms)


def _reason(width: int, sample: Sample, without: Sequence[np.ndarray]) -> str:
    """Return why the logarithm of a width's mean has no variance; "" where it has one."""
    reason = without_interval(sample, without)
    if not reason and not all((each > 0).all() for each in without):
        reason = "no positive mean without one of the networks"
    return reason and f"{reason} at {width}"


def _combined(value: float, coefficients: np.ndarray, without: Sequence[Logarithms]) -> Interval:
    """Return a value that is linear in the logarithms of the widths, with its interval."""
    parts = zip(coefficients, without, strict=True)
    return bounds(value, [coefficient * each for coefficient, width in parts for each in width])


def _centre(widths: Sequence[int]) -> float:
    return float(np.exp(np.log(widths).mean()))


def _slopes(widths: Sequence[int]) -> np.ndarray:
    """Return the coefficients of the logarithms in the slope of their least-squares line, shape (widths,)."""
    away = np.log(np.asarray(widths, float) / _centre(widths))
    slopes: np.ndarray = away / (away**2).sum()
    return slopes
