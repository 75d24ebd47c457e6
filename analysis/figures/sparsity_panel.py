"""What the analyses of pruned networks share: groups of trials, means, and panels against sparsity."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from analysis.figures.style import Mark

MOST_TICKS = 11
MARGIN = 0.04  # of the width of a panel, left free on both sides
LEAST_MARGIN = 1.02  # the same as a factor, where all levels are one


def line(axis: Axes, rows: pd.DataFrame, name: str, mark: Mark) -> None:
    """Draw one series with its interval; `rows` has `sparsity`, `mean`, `low`, `high` and `n`."""
    if rows.empty:
        return
    rows = rows.sort_values("sparsity")
    counts = "-".join(map(str, sorted({rows.n.min(), rows.n.max()})))
    left = 1 - rows.sparsity
    label = f"{name} (n = {counts})"
    axis.plot(left, rows["mean"], mark.line, marker=mark.marker, color=mark.colour, label=label, ms=5)
    axis.fill_between(left, rows.low, rows.high, color=mark.colour, alpha=0.13, linewidth=0)


def finish(axis: Axes, sparsities: Sequence[float], label: str) -> None:
    """Label the axes; the weights that are left run from right to left on a logarithmic scale.

    Every level takes the same share of what is left, so that levels are equally far apart; each has a tick
    unless they are many.
    """
    axis.set_xscale("log")
    places = sorted(sparsities)
    shown = places[:: -(-len(places) // MOST_TICKS)]
    axis.set_xticks([1 - place for place in shown], [f"{100 * place:.3g}" for place in shown])
    axis.xaxis.set_minor_locator(NullLocator())
    margin = LEAST_MARGIN * ((1 - places[0]) / (1 - places[-1])) ** MARGIN
    axis.set_xlim((1 - places[0]) * margin, (1 - places[-1]) / margin)
    axis.set_xlabel("sparsity (% of the weights pruned)")
    axis.set_ylabel(label)
    axis.grid(alpha=0.25)
