"""What the analyses of pruned networks share: groups of trials, means, and panels against sparsity."""

import math
from collections.abc import Iterator, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator, SymmetricalLogLocator

from analysis.bootstrap import Members, interval
from analysis.points import LINEAR
from analysis.settings import Setting, by_networks, by_width
from analysis.style import Mark

MOST_TICKS = 11


def pruned_groups(trials: pd.DataFrame) -> Iterator[tuple[Setting, pd.DataFrame]]:
    """Split the trials of a sweep by everything but replicates and levels; only those with pruned levels."""
    for setting, group in by_width(by_networks(trials, trials)):
        if group.level.max() > 0:
            yield setting, group


def mean(values: pd.Series, members: Members) -> dict[str, float]:
    """Return the mean, the ends of its interval, and the number of values."""
    return {**vars(interval(values.tolist(), members)), "n": len(values)}


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
    margin = 1.02 * ((1 - places[0]) / (1 - places[-1])) ** 0.04
    axis.set_xlim((1 - places[0]) * margin, (1 - places[-1]) / margin)
    axis.set_xlabel("sparsity (% of the weights pruned)")
    axis.set_ylabel(label)
    axis.grid(alpha=0.25)


def bend(axis: Axes) -> None:
    """Make the vertical axis linear near zero and logarithmic above, as in `points.points`."""
    lowest = axis.dataLim.y0
    if lowest < LINEAR:
        axis.axhline(0, color="0.4", linewidth=0.8)
    if 0 <= lowest < math.inf:  # infinite: there is nothing in this panel
        axis.set_ylim(bottom=-LINEAR / 12 if lowest < LINEAR else lowest / 1.3)
    axis.set_yscale("symlog", linthresh=LINEAR, linscale=0.5)
    axis.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=LINEAR, subs=[1, 2, 5]))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
