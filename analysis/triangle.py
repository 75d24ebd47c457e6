"""The loss between three networks: excess over the plane through their own losses, on the whole simplex."""

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import LogNorm
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.tri import Triangulation

from analysis.command import command
from analysis.settings import by_setting, dense_ends
from analysis.style import plt, save

KINDS = ("via", "joint")
PLACES = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])  # of the corners A, B and C
DECADES = 2.5  # of the colour scale; smaller excesses, zero and below have its lowest colour
STEPS = np.outer(10.0 ** np.arange(-6, 3), [1, 2, 5]).ravel()  # contour lines (nats)
LINES = 8  # contour lines down to this part of a panel's largest excess: lower ones crowd at the corners
OUTLINE: list[AbstractPathEffect] = [withStroke(linewidth=2, foreground="0.15")]  # legible on every colour


@dataclass(frozen=True)
class Surface:
    """Mean over `n` triples of the excess loss, shape (points,) in nats, at weights of shape (points, 3)."""

    weights: np.ndarray
    excess: np.ndarray
    n: int

    def largest(self) -> tuple[float, np.ndarray]:
        """Return the largest mean excess and the weights at which it lies."""
        at = int(self.excess.argmax())
        return float(self.excess[at]), self.weights[at]

    def centre(self) -> float:
        """Return the excess at equal weights."""
        return float(self.excess[np.abs(self.weights - 1 / 3).max(axis=1).argmin()])


def excess(weights: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """Return what a risk of shape (points,) has above the plane through its values at the corners.

    `weights` has shape (points, 3) and contains the three corners.
    """
    corners = risk[weights.argmax(axis=0)]
    return risk - weights @ corners


def surface(rows: pd.DataFrame) -> Surface:
    """Average triples: `rows` of `barriers` with the columns `weights` and `loss` of `curves`.

    The reference of `via`, where it is one of the three, becomes the last corner. Which of the other
    networks stands at which corner is arbitrary, so all their orders are averaged.
    """
    curves = []
    parts = (rows.weights, rows.loss, rows.networks, rows.reference)
    for points, loss, networks, reference in zip(*parts, strict=True):
        weights = np.stack(list(points))
        values = excess(weights, np.asarray(loss, float))
        for columns in _orders(list(networks), reference):
            order = np.lexsort(np.round(weights[:, columns], 6).T)
            curves.append((weights[order][:, columns], values[order]))
    grid = curves[0][0]
    if not all(np.allclose(grid, weights) for weights, _ in curves):
        raise ValueError("triples with different grids of weights cannot be averaged")
    return Surface(grid, np.mean([values for _, values in curves], axis=0), len(rows))


def _orders(networks: list[str], reference: object) -> list[list[int]]:
    """The orders of the networks' columns that have the reference, if it is one of them, at the end."""
    last = [i for i, network in enumerate(networks) if network == reference]
    others = [i for i in range(len(networks)) if i not in last]
    return [[*order, *last] for order in permutations(others)]


def surfaces(rows: pd.DataFrame, widths: list[int]) -> dict[tuple[str, int], Surface]:
    """Return the surface of every kind and width that has triples."""
    chosen = rows[rows.kind.isin(KINDS) & rows.width.isin(widths)]
    found = {(str(k), int(str(w))): surface(group) for (k, w), group in chosen.groupby(["kind", "width"])}
    return {(kind, width): found[kind, width] for kind in KINDS for width in widths if (kind, width) in found}


def some_widths(widths: list[int]) -> list[int]:
    """Return the smallest, the middle and the largest of sorted widths."""
    return sorted({widths[0], widths[(len(widths) - 1) // 2], widths[-1]})


def draw(found: dict[tuple[str, int], Surface], title: str, path: Path) -> None:
    """Draw a row of triangles per kind and a column per width, with one colour scale."""
    kinds, widths = list(dict.fromkeys(k for k, _ in found)), sorted({w for _, w in found})
    size = (1.4 + 3 * len(widths), 0.9 + 3.1 * len(kinds))
    figure, axes = plt.subplots(len(kinds), len(widths), figsize=size, constrained_layout=True, squeeze=False)
    norm = _scale(list(found.values()))
    for row, kind in zip(axes, kinds, strict=True):
        for axis, width in zip(row, widths, strict=True):
            axis.set_axis_off()
            if (kind, width) in found:
                each = found[kind, width]
                image = _triangle(axis, each, norm, kind == "via")
                axis.set_title(f"{kind}, width {width} (n = {each.n} triples)", fontsize=9, pad=16)
    label = "mean excess test loss (nats)"
    figure.colorbar(image, ax=axes, extend="min", label=label, shrink=0.8)
    figure.suptitle(f"{title}\nloss of mixed networks minus mixed losses", fontsize=10)
    save(figure, path)


def _scale(found: list[Surface]) -> LogNorm:
    largest = max(each.excess.max() for each in found)
    top = largest if largest > 0 else 1.0
    return LogNorm(top / 10**DECADES, top, clip=True)


def _triangle(axis: Axes, surface: Surface, norm: LogNorm, reference: bool) -> Collection:
    grid = Triangulation(*(surface.weights @ PLACES).T)
    lowest = float(norm.vmin or 0)
    shown = surface.excess.clip(min=lowest)
    image = axis.tripcolor(grid, shown, norm=norm, cmap="cividis", shading="gouraud", rasterized=True)
    top = surface.excess.max()
    levels = [step for step in STEPS if max(lowest, top / LINES) < step < top]
    if levels:
        lines = axis.tricontour(grid, surface.excess, levels=levels, colors="white", linewidths=0.9)
        lines.set(path_effects=OUTLINE)
        for text in axis.clabel(lines, fmt=lambda value: f"{value:g}", fontsize=8):
            text.set_path_effects(OUTLINE)
    corners = ("A", "B", "C (reference)" if reference else "C")
    for name, place, up in zip(corners, PLACES, (False, False, True), strict=True):
        axis.annotate(
            name,
            (place[0], place[1]),
            (0, 3 if up else -3),
            textcoords="offset points",
            ha="center",
            va="bottom" if up else "top",
            fontsize=9,
        )
    axis.set_aspect("equal")
    axis.margins(0.06)
    return image


def describe(found: dict[tuple[str, int], Surface]) -> list[str]:
    """Return a line per panel: the largest mean excess, where it lies, and the barycentre's."""
    lines = []
    for (kind, width), each in found.items():
        value, at = each.largest()
        where = ", ".join(f"{weight:.2f}" for weight in at)
        lines.append(
            f"{kind}, width {width}: mean excess test loss at most {value:.3f} nats, at weights ({where}); "
            f"barycentre {each.centre():.3f} (n = {each.n} triples)"
        )
    return lines


def analyse(folder: Path, widths: list[int] | None = None) -> str:
    """Read the tables of a sweep, write `figures/triangle_*.png` and return a line per triangle."""
    barriers, curves, trials = (pd.read_parquet(folder / name) for name in ("barriers", "curves", "trials"))
    triples = barriers[(barriers.interpolation == "simplex") & (barriers.split == "test")]
    parts = []
    for setting, rows in by_setting(dense_ends(triples).merge(curves, on=["barrier_id", "split"]), trials):
        found = surfaces(rows, widths or some_widths(sorted(map(int, rows.width.unique()))))
        if found:
            draw(found, setting.title, folder / "figures" / f"triangle_{setting.stem}.png")
            parts.append("\n".join([f"{setting.title}: three networks", *describe(found)]))
    return (
        "\n\n".join(parts) or "triangle: no triples on the test set (compare.kinds via or joint, 3 networks)"
    )


if __name__ == "__main__":
    command(__doc__, "quickstart", analyse)
