"""The figure of `analysis.transport`."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from analysis.axes import bend
from analysis.panels import UNITS
from analysis.points import LINEAR
from analysis.sparsity import finish, line
from analysis.style import BLACK, BLUE, GREEN, ORANGE, PINK, RED, SKY, Mark, plt, save
from analysis.transport_runs import BRANCHES, ONE_SHOT, OWN, RANDOM, TRANSPORTED

MARKS = {
    OWN: Mark(BLACK, "o"),
    TRANSPORTED["level"]: Mark(RED, "^", "--"),
    TRANSPORTED["dense"]: Mark(BLUE, "s"),
    TRANSPORTED["none"]: Mark(GREEN, "D"),
    RANDOM: Mark(ORANGE, "v", ":"),
    ONE_SHOT: Mark(SKY, "P", ":"),
    BRANCHES["reinitialise"]: Mark(PINK, "p", ":"),
}
SHORT = {TRANSPORTED["none"]: "no permutation"}


def draw(means: pd.DataFrame, gains: pd.DataFrame, limit: float, title: str, path: Path) -> None:
    """Draw what the runs reach and, below, the paired differences; error to the left, loss to the right."""
    figure, axes = plt.subplots(2, 2, figsize=(12, 11), constrained_layout=True)
    sparsities = means.groupby("level").sparsity.mean().tolist()
    for (above, below), (risk, unit) in zip(axes.T, UNITS.items(), strict=True):
        runs = means[means.risk == risk]
        for name, mark in MARKS.items():
            line(above, runs[runs.run == name], name, mark)
        _differences(below, gains[gains.risk == risk])
        finish(above, sparsities, f"test {risk} ({unit})")
        finish(below, sparsities, f"difference in test {risk} ({unit})")
        for axis in (above, below):
            bend(axis)
            legend_below(axis)
        above.set_title(f"{risk} by mask", fontsize=11)
        below.set_title(
            f"paired {risk}: reference - permuted mask (positive: the permuted is better)", fontsize=10
        )
    _mark_collapsed(axes[0, 1], means[means.risk == "loss"])
    figure.suptitle(
        f"{title}: transport of masks (mean, 95 % interval over networks; axes linear below {LINEAR})\n"
        f"x at the top edge: runs at chance (test error of {limit:.2f} or more), left out of all losses"
    )
    save(figure, path)


def _mark_collapsed(axis: Axes, runs: pd.DataFrame) -> None:
    """Mark at the top edge, for every level, how many runs of each kind collapsed to chance."""
    found = runs[runs.collapsed > 0]
    edge = axis.get_xaxis_transform()  # across in data, upwards in shares of the panel
    for place, name in enumerate(name for name in MARKS if (found.run == name).any()):
        for row in found[found.run == name].to_dict("records"):
            at, colour = (1 - row["sparsity"], 1 - 0.035 * place), MARKS[name].colour
            axis.plot(*at, "x", color=colour, transform=edge, ms=7, mew=2, clip_on=False)
            text = f"{row['collapsed']}"
            axis.annotate(text, at, (5, -3), xycoords=edge, textcoords="offset points", fontsize=8)


def _differences(axis: Axes, paired: pd.DataFrame) -> None:
    for permutation, reference in paired[["permutation", "reference"]].drop_duplicates().to_numpy().tolist():
        rows = paired[(paired.permutation == permutation) & (paired.reference == reference)]
        line_style = "-" if permutation == "dense" else "--"
        mark = Mark(MARKS[reference].colour, MARKS[TRANSPORTED[permutation]].marker, line_style)
        line(axis, rows, f"{SHORT.get(reference, reference)} - {permutation}", mark)
