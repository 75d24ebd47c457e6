"""The panel of single comparisons beside their mean and its interval, by category."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from analysis.figures.axes import LINEAR, at_threshold
from analysis.figures.marks import Mark

SPREAD = 0.8  # share of the distance between two categories over which the series spread


def points(
    axis: Axes,
    values: pd.DataFrame,
    means: pd.DataFrame,
    categories: list[str],
    marks: Mapping[str, Mark],
    threshold: bool = False,
) -> None:
    """Draw every value small and pale, and beside them the means with their intervals.

    `values` has the columns `x` (a category), `series` and `value`; `means` has `x`, `series`, `mean`, `low`,
    `high` (NaN where there is no interval) and `n`. `marks` gives the order and the look of the series.
    """
    if threshold:
        at_threshold(axis)
    step = SPREAD / len(marks)
    for index, (series, mark) in enumerate(marks.items()):
        offset = (index - (len(marks) - 1) / 2) * step
        for x, category in enumerate(categories):
            own = values[(values.series == series) & (values.x == category)].value
            across = x + offset + np.linspace(-0.22, 0.0, len(own)) * step
            axis.plot(across, own, mark.marker, color=mark.colour, alpha=0.35, markersize=4, mew=0)
        line = means[means.series == series].set_index("x").reindex(categories)
        ends = [line["mean"] - line.low, line.high - line["mean"]]
        at = np.arange(len(categories)) + offset + 0.22 * step
        label = f"{series} (n = {line.n.max():.0f})"
        axis.errorbar(
            at, line["mean"], ends, fmt=mark.marker, color=mark.colour, capsize=3, ms=7, label=label
        )
    axis.set_yscale("symlog", linthresh=LINEAR, linscale=0.5)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_xlim(-0.5, len(categories) - 0.5)
    axis.set_xticks(range(len(categories)), [category.replace(" ", "\n", 1) for category in categories])
    axis.grid(axis="y", alpha=0.25)
