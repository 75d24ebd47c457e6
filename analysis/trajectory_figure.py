"""The figure of `analysis.trajectory`."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.panels import UNITS
from analysis.style import BLACK, BLUE, GREEN, ORANGE, PINK, RED, THRESHOLD, Mark, plt, save

MARKS = {
    "unaligned": Mark(BLACK, "o"),
    "first": Mark(ORANGE, "v", "--"),
    "middle": Mark(GREEN, "D", "--"),
    "last": Mark(BLUE, "s"),
    "stacked": Mark(PINK, "P", ":"),
}
HYBRIDS = {"bottom_up": Mark(BLUE, "o"), "top_down": Mark(RED, "s", "--")}
SINGLE = {"one_in": Mark(GREEN, "^", ""), "one_out": Mark(ORANGE, "v", "")}


def curves(means: pd.DataFrame, risk: str) -> dict[str, pd.DataFrame]:
    """Return rows by label: unaligned, the first, middle and last permutation, and the largest stack."""
    chosen = means[means.risk == risk]
    direct = chosen[chosen.series == "direct"]
    found = sorted(epoch for epoch in direct.found.unique() if epoch > 0) or sorted(direct.found.unique())
    named = {"unaligned": chosen[chosen.series == "unaligned"]}
    if found:
        for name, epoch in zip(
            ("first", "middle", "last"), (found[0], found[len(found) // 2], found[-1]), strict=True
        ):
            named[name] = direct[direct.found == epoch]
    stacks = sorted({s for s in chosen.series if s.startswith("stacked")}, key=lambda s: int(s.split()[1]))
    if stacks:
        named["stacked"] = chosen[chosen.series == stacks[-1]]
    return {name: rows.sort_values("epoch") for name, rows in named.items() if len(rows)}


def draw(means: pd.DataFrame, shares: pd.DataFrame, hybrids: pd.DataFrame, title: str, path: Path) -> None:
    """Draw the heat map of losses, the curves of both risks, fixed points, and hybrids if there are any."""
    columns = 3 if len(hybrids) else 2
    figure, axes = plt.subplots(2, columns, figsize=(4.8 * columns, 8), constrained_layout=True)
    _heat(axes[0, 0], means[(means.series == "direct") & (means.risk == "loss")])
    _curves(axes[0, 1], means, "loss")
    _curves(axes[1, 1], means, "error")
    _shares(axes[1, 0], shares)
    if len(hybrids):
        _hybrids(axes[0, 2], hybrids, HYBRIDS, "groups with the early permutation (the others: the last)")
        _hybrids(
            axes[1, 2], hybrids, SINGLE, "the one group with (in) or without (out) the early permutation"
        )
    handles, labels = axes[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    figure.suptitle(f"{title}: one permutation along training (mean over pairs, 95 % interval over networks)")
    save(figure, path)


def _heat(axis: Axes, direct: pd.DataFrame) -> None:
    table = direct.pivot_table(index="found", columns="epoch", values="mean")
    image = axis.imshow(table.clip(lower=0), origin="lower", cmap="cividis_r", aspect="auto")
    axis.set_xticks(range(table.shape[1]), [f"{epoch:g}" for epoch in table.columns])
    axis.set_yticks(range(table.shape[0]), [f"{epoch:g}" for epoch in table.index])
    half = np.nanmax(table.to_numpy()) / 2
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        text = f"{value:.2f}".replace("0.", ".", 1)
        axis.text(column, row, text, ha="center", va="center", fontsize=7, color="w" if value > half else "k")
    axis.set_xlabel("applied at epoch")
    axis.set_ylabel("permutation found at epoch")
    axis.figure.colorbar(image, ax=axis, label=f"test loss barrier (nats, n = {direct.n.min()} pairs each)")


def _curves(axis: Axes, means: pd.DataFrame, risk: str) -> None:
    named = curves(means, risk)
    places = {epoch: place for place, epoch in enumerate(sorted(means.epoch.unique()))}
    for name, rows in named.items():
        mark, x = MARKS[name], rows.epoch.map(places)
        axis.plot(x, rows["mean"], mark.line, color=mark.colour, marker=mark.marker, label=_label(name, rows))
        axis.fill_between(x, rows.low, rows.high, color=mark.colour, alpha=0.13, linewidth=0)
    if risk == "error":
        axis.axhline(THRESHOLD, color="0.4", linestyle="--", linewidth=1)
        axis.annotate(str(THRESHOLD), (len(places) - 1, THRESHOLD), ha="right", va="bottom", color="0.3")
    axis.set_xticks(list(places.values()), [f"{epoch:g}" for epoch in places])
    axis.set_xlabel("epoch at which the networks are compared")
    axis.set_ylabel(f"test {risk} barrier ({UNITS[risk]})")
    axis.grid(alpha=0.25)


def _label(name: str, rows: pd.DataFrame) -> str:
    if name == "unaligned":
        return f"no permutation (n = {rows.n.min()})"
    what = (
        f"super-alignment of {rows.series.iloc[0].split()[1]}"
        if name == "stacked"
        else f"permutation of epoch {rows.found.iloc[0]:g}"
    )
    return f"{what} (n = {rows.n.min()})"


def _shares(axis: Axes, shares: pd.DataFrame) -> None:
    axis.plot(range(len(shares)), shares["mean"], color=BLUE, marker="s")
    axis.fill_between(range(len(shares)), shares.low, shares.high, color=BLUE, alpha=0.13, linewidth=0)
    axis.set_xticks(range(len(shares)), [f"{epoch:g}" for epoch in shares.epoch])
    axis.set_xlabel("permutation found at epoch")
    axis.set_ylabel("fixed points with the last permutation (share)")
    axis.set_ylim(0, 1.02)
    axis.grid(alpha=0.25)


def _hybrids(axis: Axes, hybrids: pd.DataFrame, marks: dict[str, Mark], label: str) -> None:
    for direction, mark in marks.items():
        rows = hybrids[hybrids.hybrid == direction].sort_values("layers")
        if len(rows):
            name = f"{direction.replace('_', ' ')} (n = {rows.n.min()})"
            errors = np.stack([rows["mean"] - rows.low, rows.high - rows["mean"]]).clip(min=0)
            axis.errorbar(
                rows.layers,
                rows["mean"],
                errors,
                color=mark.colour,
                marker=mark.marker,
                linestyle=mark.line or "none",
                capsize=3,
                label=name,
            )
    axis.set_xticks(sorted(hybrids[hybrids.hybrid.isin(marks)].layers.unique()))
    axis.set_xlabel(label, fontsize=8)
    axis.set_ylabel("test loss barrier at the end (nats)")
    axis.grid(alpha=0.25)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False, fontsize=8)
