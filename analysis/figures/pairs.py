"""The figure of pairs by what their networks share and how they were aligned."""

from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

from analysis.figures.axes import BELOW_ZERO, LINEAR
from analysis.figures.category_panel import points
from analysis.figures.style import caption, headline, looks, save
from analysis.statistics.deciding import THRESHOLD
from analysis.statistics.jackknife import METHOD
from analysis.statistics.spread import UNITS
from raysweep.vocabulary import Split

ABOVE = 1.6  # factor between the highest value and the upper end of the axis


def draw(chosen: pd.DataFrame, summary: pd.DataFrame, title: str, path: Path) -> None:
    """Draw a panel for each risk and split, with alignments as categories."""
    chosen = chosen.assign(alignment=chosen.alignment.cat.remove_unused_categories())
    categories = list(chosen.alignment.cat.categories)
    marks = looks(chosen.series.cat.remove_unused_categories().cat.categories)
    splits = [split for split in Split if (summary.split == split).any()]
    figure, axes = plt.subplots(
        len(UNITS),
        len(splits),
        figsize=(1 + 4.6 * len(splits), 7.4),
        constrained_layout=True,
        squeeze=False,
        sharey="row",
    )
    for row, (risk, unit) in zip(axes, UNITS.items(), strict=True):
        top = chosen[f"{risk}_barrier"].max() * ABOVE
        row[0].set_ylim(-BELOW_ZERO, max(top, 2 * THRESHOLD))
        for axis, split in zip(row, splits, strict=True):
            values = chosen[chosen.split == split].rename(
                columns={"alignment": "x", f"{risk}_barrier": "value"}
            )
            means = summary[(summary.split == split) & (summary.risk == risk)].rename(
                columns={"alignment": "x"}
            )
            points(axis, values, means, categories, marks, risk == "error")
            axis.set_ylabel(f"{split} {risk} barrier ({unit})")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2 if len(marks) == 4 else 3,
        frameon=False,
    )
    headline(
        figure,
        f"{title}: barriers of all pairs\n(mean, {METHOD}; axes linear below {LINEAR})",
    )
    save(
        figure, path, caption("Error and loss barriers of all pairs by alignment", title, summary.n, "pairs")
    )
