"""The panel of means with intervals against the sparsity of pruned networks."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from analysis.figures.marks import Mark

MOST_TICKS = 11
MARGIN = 0.04  # share of the width of a panel that stays free on each side
LEAST_MARGIN = 1.02  # the same as a factor, where there is a single level


def line(axis: Axes, rows: pd.DataFrame, name: str, mark: Mark) -> None:
    """Draw one series with its intervals; `rows` has `sparsity` (share), `mean`, `low`, `high` and `n`."""
    if rows.empty:
        return
    rows = rows.sort_values("sparsity")
    counts = "-".join(map(str, sorted({rows.n.min(), rows.n.max()})))
    left = 1 - rows.sparsity
    label = f"{name} (n = {counts})"
    axis.plot(left, rows["mean"], mark.line, marker=mark.marker, color=mark.colour, label=label, ms=5)
    axis.fill_between(left, rows.low, rows.high, color=mark.colour, alpha=0.13, linewidth=0)


def finish(axis: Axes, sparsities: Sequence[float], label: str) -> None:
    """Label the axes, and scale the horizontal one by the logarithm of the share of weights that are left.

    Each level removes the same share of the weights that are left, so that levels are equally far apart. Each
    has a tick, unless there are many.
    """
    axis.set_xscale("log")
    levels = sorted(sparsities)
    shown = levels[:: -(-len(levels) // MOST_TICKS)]
    axis.set_xticks([1 - level for level in shown], [f"{100 * level:.3g}" for level in shown])
    axis.xaxis.set_minor_locator(NullLocator())
    margin = LEAST_MARGIN * ((1 - levels[0]) / (1 - levels[-1])) ** MARGIN
    axis.set_xlim((1 - levels[0]) * margin, (1 - levels[-1]) / margin)
    axis.set_xlabel("sparsity (% of the weights pruned)")
    axis.set_ylabel(label)
    axis.grid(alpha=0.25)
