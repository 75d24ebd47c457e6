"""The figure of barriers along training, with fixed points, super-alignment and hybrids."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from analysis.figures.axes import LINEAR, at_threshold, legend_below, symlog
from analysis.figures.marks import BLACK, BLUE, GREEN, ORANGE, PINK, RED, SKY, Mark
from analysis.figures.style import caption, headline, looks, save
from analysis.statistics.jackknife import METHOD
from analysis.statistics.simultaneous import first_middle_last
from analysis.statistics.spread import UNITS
from analysis.trajectory.hybrids import LAST, NONE
from analysis.trajectory.stacks import names
from raysweep.vocabulary import Kind, Split

MARKS = {
    Kind.UNALIGNED: Mark(BLACK, "o"),
    "first": Mark(ORANGE, "v", "--"),
    "middle": Mark(GREEN, "D", "-."),
    "last": Mark(BLUE, "s"),
}
HYBRIDS = {"bottom_up": Mark(SKY, "^"), "top_down": Mark(RED, "v", "--")}
SINGLE = {"one_in": Mark(GREEN, "^", ""), "one_out": Mark(PINK, "P", "")}
BASELINES = {NONE: Mark(BLACK, "", ":"), LAST: Mark(BLUE, "", "-.")}
APART = 0.12  # distance between the marks of two series at one position


def curves(means: pd.DataFrame, risk: str) -> dict[str, pd.DataFrame]:
    """Return the rows of a risk for unaligned pairs and for the first, middle and last permutation."""
    chosen = means[means.risk == risk]
    direct = chosen[chosen.series == Kind.DIRECT]
    named: dict[str, pd.DataFrame] = {Kind.UNALIGNED: chosen[chosen.series == Kind.UNALIGNED]}
    for name, epoch in first_middle_last(direct.found).items():
        named[name] = direct[direct.found == epoch]
    return {name: rows.sort_values("epoch") for name, rows in named.items() if len(rows)}


def draw(
    means: pd.DataFrame,
    shares: pd.DataFrame,
    hybrids: pd.DataFrame,
    stacks: pd.DataFrame,
    title: str,
    path: Path,
    split: str = Split.TEST,
) -> None:
    """Draw barriers along training, fixed points, and super-alignment and hybrids where there are any."""
    stacked = ["stacks loss", "stacks error"] if len(stacks) else [".", "."]
    rows = [["heat", "loss", "error"], ["fixed", *stacked]]
    if len(hybrids):
        rows += [["hybrids loss", "hybrids error", "single"]]
    figure = plt.figure(figsize=(15, 0.8 + 4.6 * len(rows)), constrained_layout=True)
    axes = figure.subplot_mosaic(rows)  # type: ignore[arg-type]
    heat(axes["heat"], means[(means.series == Kind.DIRECT) & (means.risk == "loss")])
    _shares(axes["fixed"], shares)
    for risk in UNITS:
        _curves(axes[risk], means, risk)
        if len(stacks):
            _stacks(axes[f"stacks {risk}"], stacks[(stacks.risk == risk) & stacks.epoch.notna()], risk)
        if len(hybrids):
            label = "layer groups with the early permutation (the others: the last)"
            _hybrids(axes[f"hybrids {risk}"], hybrids[hybrids.risk == risk], HYBRIDS, risk, label)
    if len(hybrids):
        label = "layer group with (in) or without (out) the early permutation"
        _hybrids(axes["single"], hybrids[hybrids.risk == "loss"], SINGLE, "loss", label)
    headline(
        figure,
        f"{title}: one permutation along training, {split} barriers (mean over pairs, {METHOD})\n"
        f"axes of barriers linear below {LINEAR}",
    )
    what = f"{split.capitalize()} barriers of two training runs under permutations found at one epoch"
    save(figure, path, caption(what, title, means.n, "pairs"))


def heat(axis: Axes, direct: pd.DataFrame) -> None:
    """Draw mean loss barriers (nats) by the epochs of the permutation and of the networks as a heat map."""
    table = direct.pivot_table(index="found", columns="epoch", values="mean", dropna=False)
    image = axis.imshow(table.clip(lower=0), origin="lower", cmap="cividis_r", aspect="auto")
    axis.set_xticks(range(table.shape[1]), [f"{epoch:g}" for epoch in table.columns])
    axis.set_yticks(range(table.shape[0]), [f"{epoch:g}" for epoch in table.index])
    half = np.nanmax(table.to_numpy(), initial=0) / 2
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        colour = "w" if value > half else "k"
        axis.text(column, row, f"{value:z.2f}", ha="center", va="center", fontsize=7, color=colour)
    axis.set_title("one permutation, applied at another epoch", fontsize=10)
    axis.set_xlabel("applied at epoch")
    axis.set_ylabel("permutation found at epoch")
    axis.figure.colorbar(image, ax=axis, label=f"loss barrier (nats, n = {direct.n.min()} pairs each)")


def _curves(axis: Axes, means: pd.DataFrame, risk: str) -> None:
    positions = _epochs(axis, means.epoch, "epoch at which the networks are compared")
    for name, rows in curves(means, risk).items():
        mark, x = MARKS[name], rows.epoch.map(positions)
        axis.plot(x, rows["mean"], mark.line, color=mark.colour, marker=mark.marker, label=_label(name, rows))
        axis.fill_between(x, rows.low, rows.high, color=mark.colour, alpha=0.13, linewidth=0)
    symlog(axis)
    if risk == "error":
        at_threshold(axis)
    axis.set_ylabel(f"{risk} barrier ({UNITS[risk]})")
    axis.set_title(f"{risk} barriers along training", fontsize=10)
    legend_below(axis)


def _label(name: str, rows: pd.DataFrame) -> str:
    what = "no permutation" if name == Kind.UNALIGNED else f"found at epoch {rows.found.iloc[0]:g}"
    return f"{what} (n = {rows.n.min()})"


def _epochs(axis: Axes, epochs: pd.Series, label: str) -> dict[float, int]:
    """Give every epoch a tick at equal distances and return the positions of the epochs."""
    positions = {epoch: position for position, epoch in enumerate(sorted(epochs.unique()))}
    axis.set_xticks(list(positions.values()), [f"{epoch:g}" for epoch in positions])
    axis.set_xlabel(label)
    axis.grid(alpha=0.25)
    return positions


def _shares(axis: Axes, shares: pd.DataFrame) -> None:
    x = shares.epoch.map(_epochs(axis, shares.epoch, "permutation found at epoch"))
    label = f"n = {shares.n.min()} pairs"
    axis.plot(x, shares["mean"], color=BLUE, marker="s", label=label)
    axis.fill_between(x, shares.low, shares.high, color=BLUE, alpha=0.13, linewidth=0)
    axis.set_ylabel("fixed points with the last permutation (share)")
    axis.set_title("when is the last permutation settled?", fontsize=10)
    axis.set_ylim(0, 1)
    legend_below(axis)


def _stacks(axis: Axes, stacks: pd.DataFrame, risk: str) -> None:
    positions = _epochs(axis, stacks.epoch, "epoch at which the networks are compared")
    series = looks(names(stacks))
    for index, (name, mark) in enumerate(series.items()):
        rows = stacks[stacks.series == name].sort_values("epoch")
        x = rows.epoch.map(positions) + APART * (index - (len(series) - 1) / 2)
        label = f"{name.split()[1]} checkpoints (n = {rows.n.min()})"
        _points(axis, x, rows, mark, label)
    axis.axhline(0, color="0.4", linewidth=0.8)
    axis.set_ylabel(f"paired difference in {risk} barrier ({UNITS[risk]})")
    axis.set_title(f"super-alignment minus last permutation: {risk}", fontsize=10)
    legend_below(axis)


def _hybrids(axis: Axes, hybrids: pd.DataFrame, marks: dict[str, Mark], risk: str, label: str) -> None:
    for name, mark in BASELINES.items():
        for row in hybrids[hybrids.hybrid == name].to_dict("records"):
            text = f"{name} (n = {row['n']})"
            axis.axhline(row["mean"], color=mark.colour, linestyle=mark.line, label=text)
            axis.axhspan(row["low"], row["high"], color=mark.colour, alpha=0.1, linewidth=0)
    for index, (direction, mark) in enumerate(marks.items()):
        rows = hybrids[hybrids.hybrid == direction].sort_values("layers")
        if len(rows):
            text = f"{direction.replace('_', ' ')} (n = {rows.n.min()})"
            _points(axis, rows.layers + APART * (index - (len(marks) - 1) / 2), rows, mark, text)
    layers = hybrids[hybrids.hybrid.isin(marks)].layers.unique()
    axis.set_xticks(sorted(layers), [f"{each:g}" for each in sorted(layers)])
    axis.set_xlabel(label, fontsize=9)
    axis.set_ylabel(f"{risk} barrier at the end ({UNITS[risk]})")
    axis.set_title(f"hybrids with the permutation of epoch {hybrids.early.iloc[0]:g}: {risk}", fontsize=10)
    axis.grid(alpha=0.25)
    symlog(axis)
    if risk == "error":
        at_threshold(axis)
    legend_below(axis)


def _points(axis: Axes, x: pd.Series, rows: pd.DataFrame, mark: Mark, label: str) -> None:
    """Draw means with their intervals as bars."""
    ends = np.stack([rows["mean"] - rows.low, rows.high - rows["mean"]]).clip(min=0)
    line = mark.line or "none"
    axis.errorbar(
        x, rows["mean"], ends, color=mark.colour, marker=mark.marker, linestyle=line, capsize=3, label=label
    )
