"""The figure of pruned runs under their own and other masks."""

from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from analysis.figures.axes import LINEAR, legend_below, symlog
from analysis.figures.marks import BLACK, BLUE, GREEN, ORANGE, PINK, RED, SKY, Mark
from analysis.figures.sparsity_panel import finish, line
from analysis.figures.style import caption, headline, save
from analysis.statistics.jackknife import METHOD
from analysis.statistics.spread import UNITS
from analysis.transport.runs import ONE_SHOT, OWN, RANDOM, TRANSPORTED
from raysweep.sweep.branches import BRANCHES

MARKS = {
    OWN: Mark(BLACK, "o"),
    TRANSPORTED["level"]: Mark(RED, "^", "--"),
    TRANSPORTED["dense"]: Mark(BLUE, "s"),
    TRANSPORTED["none"]: Mark(GREEN, "D"),
    RANDOM: Mark(ORANGE, "v", ":"),
    ONE_SHOT: Mark(SKY, "P", ":"),
    BRANCHES["reinitialise"].title: Mark(PINK, "p", ":"),
}


def draw(means: pd.DataFrame, gains: pd.DataFrame, limit: float, title: str, path: Path) -> None:
    """Draw error and loss of the runs, and a row of paired differences for each permutation."""
    permutations = list(dict.fromkeys(gains.permutation))
    rows = 1 + len(permutations)
    figure, axes = plt.subplots(
        rows, 2, figsize=(12, 0.8 + 5.1 * rows), constrained_layout=True, squeeze=False
    )
    sparsities = means.groupby("level").sparsity.mean().tolist()
    for column, (risk, unit) in zip(axes.T, UNITS.items(), strict=True):
        runs = means[means.risk == risk]
        for name, mark in MARKS.items():
            line(column[0], runs[runs.run == name], name, mark)
        finish(column[0], sparsities, f"test {risk} ({unit})")
        column[0].set_title(f"{risk} by mask", fontsize=11)
        for axis, permutation in zip(column[1:], permutations, strict=True):
            own = gains[(gains.risk == risk) & (gains.permutation == permutation)]
            for reference in dict.fromkeys(own.reference):
                line(axis, own[own.reference == reference], reference, MARKS[reference])
            finish(axis, sparsities, f"paired difference in test {risk} ({unit})")
            axis.set_title(f"{risk}: other mask minus {TRANSPORTED[permutation]}", fontsize=11)
        for axis in column:
            symlog(axis)
            legend_below(axis)
    _mark_collapsed(axes[0, 1], means[means.risk == "loss"])
    headline(
        figure,
        f"{title}: transport of masks (mean, {METHOD}; axes linear below {LINEAR})\n"
        f"x at the top edge: runs at chance (test error of {limit:.2f} or more), left out of all losses; "
        "positive differences: the transported mask is better",
    )
    what = "Test error and loss of pruned runs by mask, and paired differences, against sparsity"
    save(figure, path, caption(what, title, [*means.n, *gains.n], "runs or pairs"))


def _mark_collapsed(axis: Axes, runs: pd.DataFrame) -> None:
    """Mark at the top edge how many runs of each kind collapsed to chance at each level."""
    found = runs[runs.collapsed > 0]
    edge = axis.get_xaxis_transform()  # across in data, upwards in shares of the panel
    for index, name in enumerate(name for name in MARKS if (found.run == name).any()):
        for row in found[found.run == name].to_dict("records"):
            at, colour = (1 - row["sparsity"], 1 - 0.035 * index), MARKS[name].colour
            axis.plot(*at, "x", color=colour, transform=edge, ms=7, mew=2, clip_on=False)
            text = f"{row['collapsed']}"
            axis.annotate(text, at, (5, -3), xycoords=edge, textcoords="offset points", fontsize=8)
