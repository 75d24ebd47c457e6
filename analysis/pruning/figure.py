"""The figure of barriers along pruning."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

from analysis.figures.axes import LINEAR, at_threshold, symlog
from analysis.figures.marks import BLACK, BLUE, GREEN, RED, Mark
from analysis.figures.sparsity_panel import finish, line
from analysis.figures.style import caption, headline, save
from analysis.pruning.barriers import DENSE, OWN
from analysis.statistics.jackknife import METHOD
from analysis.statistics.spread import UNITS
from raysweep.vocabulary import Kind, Split

MARKS: dict[str, Mark] = {
    Kind.UNALIGNED: Mark(BLACK, "o"),
    DENSE: Mark(BLUE, "s"),
    OWN: Mark(RED, "^", "--"),
}


def draw(
    means: pd.DataFrame,
    errors: pd.DataFrame,
    points: Mapping[str, str],
    title: str,
    path: Path,
    split: str = Split.TEST,
) -> None:
    """Draw both barriers and the test error of the networks, with a row for each point of training."""
    found = [point for point in points if (means.point == point).any()]
    figure = plt.figure(figsize=(14, 0.9 + 3.9 * len(found)), constrained_layout=True)
    axes = figure.subplot_mosaic([[*(f"{point} {risk}" for risk in UNITS), "networks"] for point in found])
    sparsities = errors.sparsity.tolist()
    for point, risk in product(found, UNITS):
        axis, chosen = axes[f"{point} {risk}"], means[(means.point == point) & (means.risk == risk)]
        for kind, mark in MARKS.items():
            line(axis, chosen[chosen.kind == kind], kind, mark)
        finish(axis, sparsities, f"{split} {risk} barrier of pairs ({UNITS[risk]})")
        symlog(axis)
        axis.set_title(f"{risk} barrier {points[point]}")
        if risk == "error":
            at_threshold(axis)
    line(axes["networks"], errors, "networks", Mark(GREEN, "D"))
    finish(axes["networks"], sparsities, "test error (share)")
    axes["networks"].set_ylim(bottom=0)
    axes["networks"].set_title("the networks themselves at the end")
    axes["networks"].legend(frameon=False, fontsize=8, loc="lower right")
    handles, labels = axes[f"{found[-1]} error"].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    headline(
        figure,
        f"{title}: barriers along pruning (mean, {METHOD})\naxes of barriers linear below {LINEAR}",
    )
    what = f"{split.capitalize()} barriers of pairs and test errors of their networks against sparsity"
    save(figure, path, caption(what, title, [*means.n, *errors.n], "pairs or networks"))
