"""The panel of means with intervals against a width or a number of networks, on logarithmic axes."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from analysis.figures.axes import at_threshold
from analysis.figures.marks import Mark
from analysis.statistics.power_law import PowerLaw

APART = 1.035  # factor between neighbouring series, so that their intervals do not overlap
WIDEST = 1.2  # largest factor between the first and the last series
FIT_POINTS = 40  # of the line of a power law
MOST_BANDS = 4
LOWEST = 10  # the floor is no lower than the smallest positive mean divided by this


def lines(
    axis: Axes,
    frame: pd.DataFrame,
    marks: Mapping[str, Mark],
    threshold: bool = False,
    laws: Mapping[str, PowerLaw | None] | None = None,
) -> None:
    """Draw lines with intervals on logarithmic axes, with a tick at each x.

    `frame` has a row for each `x` and `series`, with `mean`, `low`, `high` (NaN where there is no interval)
    and `n`. Means at or below zero have no logarithm: they are drawn hollow on the floor of the panel, where
    lower ends below it end too. `marks` gives the order and the look of the series, and `threshold` adds
    the line at an error barrier of 0.02. With `laws`, the lines and bands are those of the power laws.
    Intervals are bands, or bars where bands would hide each other: with `laws` or with more than four series.
    """
    floor = _floor(frame)
    present = [series for series in marks if (frame.series == series).any()]
    for index, series in enumerate(present):
        rows, mark = frame[frame.series == series].sort_values("x"), marks[series]
        label, law = f"{series} ({_count(rows.n)})", (laws or {}).get(series)
        if laws is not None or len(present) > MOST_BANDS:
            apart = min(APART, WIDEST ** (1 / len(present)))
            rows = rows.assign(x=rows.x * apart ** (index - (len(present) - 1) / 2))
            label += f", ~ width^{law.power}" if law else ", no power law" if laws is not None else ""
            _bars(axis, rows, label, mark, floor, "" if law else mark.line)
        else:
            _band(axis, rows, label, mark, floor)
        if law:
            _fit(axis, law, mark)
    if (frame["mean"] <= 0).any():
        label = "at or below zero" + (", left out of the fit" if laws is not None else "")
        axis.plot([], [], "v", color="0.4", markersize=11, mfc="none", linestyle="", label=label)
    ticks = sorted(frame.x.unique())
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(alpha=0.25)
    if threshold:
        at_threshold(axis)


def _band(axis: Axes, rows: pd.DataFrame, label: str, mark: Mark, floor: float) -> None:
    if len(rows) == 1:  # a band would have no width
        _bars(axis, rows, label, mark, floor, mark.line)
        return
    shown = rows["mean"].clip(lower=floor)
    axis.plot(rows.x, shown, mark.line, color=mark.colour, marker=mark.marker, label=label)
    low, high = rows.low.clip(lower=floor), rows.high.clip(lower=floor)
    axis.fill_between(rows.x, low, high, color=mark.colour, alpha=0.13, linewidth=0)
    _censored(axis, rows, mark, floor)


def _bars(axis: Axes, rows: pd.DataFrame, label: str, mark: Mark, floor: float, line: str) -> None:
    shown = rows["mean"].clip(lower=floor)
    ends = [(shown - rows.low.clip(lower=floor)).clip(lower=0), (rows.high - shown).clip(lower=0)]
    axis.errorbar(
        rows.x,
        shown,
        ends,
        color=mark.colour,
        marker=mark.marker,
        linestyle=line,
        capsize=2,
        label=label,
    )
    _censored(axis, rows, mark, floor)


def _fit(axis: Axes, law: PowerLaw, mark: Mark) -> None:
    widths = np.geomspace(law.widths[0], law.widths[-1], FIT_POINTS)
    value, low, high = law.line(widths)
    axis.plot(widths, value, mark.line, color=mark.colour, linewidth=1)
    axis.fill_between(widths, low, high, color=mark.colour, alpha=0.13, linewidth=0)


def _censored(axis: Axes, rows: pd.DataFrame, mark: Mark, floor: float) -> None:
    x = rows.x[rows["mean"] <= 0]
    axis.plot(x, np.full(len(x), floor), "v", color=mark.colour, markersize=11, mfc="none")


def _floor(frame: pd.DataFrame) -> float:
    """Return half of the smallest positive mean, or a lower end down to a tenth of that mean."""
    positive = frame["mean"][frame["mean"] > 0]
    if positive.empty:
        return 1e-4
    ends = frame.low[frame.low >= positive.min() / LOWEST]
    return float(min([positive.min() / 2, *ends]))


def _count(n: pd.Series) -> str:
    return "n = " + "-".join(map(str, sorted({n.min(), n.max()})))
