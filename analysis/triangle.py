"""What lies between three networks? The excess loss of their mixtures on the whole simplex."""

from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import LogNorm
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.tri import Triangulation

from analysis.command import command
from analysis.figures.style import caption, headline, save
from analysis.rows.members import members_of
from analysis.rows.quality import themselves
from analysis.rows.settings import by_setting, read_dense_ends
from analysis.statistics.deciding import THRESHOLD, connected, decide_one
from analysis.statistics.jackknife import METHOD, Interval, interval, with_interval
from analysis.statistics.spread import in_words, spread
from raysweep.errors import UserError
from raysweep.tables.frames import naming_damage, read_frame
from raysweep.tables.variants import trial_of
from raysweep.vocabulary import Interpolation, Kind, Split

KINDS = (Kind.VIA, Kind.JOINT)
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])  # A, B and C
DECADES = 2.5  # of the colour scale; smaller and negative excesses have its lowest colour
STEPS = np.outer(10.0 ** np.arange(-6, 3), [1, 2, 5]).ravel()  # contour lines (nats)
LINES = 8  # the lowest contour line is the largest excess divided by this; lower ones crowd at the corners
OUTLINE: list[AbstractPathEffect] = [withStroke(linewidth=2, foreground="0.15")]  # legible on every colour


@dataclass(frozen=True)
class Surface:
    """Excess risks of triples, shape (triples, points), at weights of shape (points, 3).

    `members` are the trials that each triple depends on.
    """

    weights: np.ndarray
    values: np.ndarray
    members: list[list[str]]

    @property
    def excess(self) -> np.ndarray:
        """The mean over triples, shape (points,)."""
        mean: np.ndarray = self.values.mean(axis=0)
        return mean

    @property
    def n(self) -> int:
        """Number of triples."""
        return len(self.values)

    def worst(self) -> int:
        """Return the point at which the mean is largest."""
        return int(self.excess.argmax())

    def least_certain(self) -> int:
        """Return the point at which the interval reaches highest, where there are intervals."""
        return int(np.argmax([self.at(point).high for point in range(len(self.weights))]))

    def centre(self) -> int:
        """Return the point of equal weights."""
        return int(np.abs(self.weights - 1 / 3).max(axis=1).argmin())

    def at(self, point: int) -> SimpleNamespace:
        """Return the spread of the triples at a point."""
        return SimpleNamespace(**spread(pd.Series(self.values[:, point]), self.members))


Surfaces = dict[tuple[str, int], Surface]  # by kind and width


def with_curves(rows: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Return rows of `barriers` with the columns of their curves; `weights` has arrays of shape (points, n).

    Only these curves are read: as Python objects those of a sweep would take gigabytes.
    """
    chosen = [("barrier_id", "in", set(rows.barrier_id)), ("split", "in", set(rows.split))]
    with naming_damage(folder / "curves"):
        table = pq.read_table(folder / "curves", filters=chosen)
    weights = [
        each.values.flatten().to_numpy().reshape(len(each), -1)
        for chunk in table.column("weights").iterchunks()
        for each in chunk
    ]
    curves = table.drop_columns("weights").to_pandas()
    return rows.merge(curves.assign(weights=weights), on=["barrier_id", "split"])


def excess(weights: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """Return a risk of shape (points,) minus the plane through its values at the corners.

    `weights` has shape (points, 3) and contains the three corners.
    """
    corners = risk[weights.argmax(axis=0)]
    above: np.ndarray = risk - weights @ corners
    return above


def surface(rows: pd.DataFrame, risk: str = "loss") -> Surface:
    """Return the surface of the triples in `rows`: `barriers` with the columns of their `curves`.

    The reference of `via`, where it is one of the three, becomes the last corner. The order of the other
    networks is arbitrary, so all their orders are averaged. Raises `ValueError` for different grids.
    """
    grid: np.ndarray | None = None
    values, members = [], []
    parts = (rows.weights, rows[risk], rows.networks, rows.reference)
    for points, curve, networks, reference in zip(*parts, strict=True):
        weights = np.stack(list(points))
        above = excess(weights, np.asarray(curve, float))
        orders = []
        for columns in _orders(list(networks), reference):
            order = np.lexsort(np.round(weights[:, columns], 6).T)
            sorted_weights = weights[order][:, columns]
            grid = sorted_weights if grid is None else grid
            if grid.shape != sorted_weights.shape or not np.allclose(grid, sorted_weights):
                raise ValueError("triples with different grids of weights cannot be averaged")
            orders.append(above[order])
        values.append(np.mean(orders, axis=0))
        through = [reference] if isinstance(reference, str) else []
        members.append(sorted({trial_of(network) for network in (*networks, *through)}))
    assert grid is not None
    return Surface(grid, np.stack(values), members)


def _orders(networks: list[str], reference: object) -> list[list[int]]:
    """Return all orders of the networks' columns that have the reference, if it is among them, at the end."""
    last = [i for i, network in enumerate(networks) if network == reference]
    others = [i for i in range(len(networks)) if i not in last]
    return [[*order, *last] for order in permutations(others)]


def surfaces(rows: pd.DataFrame, widths: list[int], risk: str = "loss") -> Surfaces:
    """Return the surfaces of all kinds and widths that have triples."""
    chosen = rows[rows.kind.isin(KINDS) & rows.width.isin(widths)]
    groups = chosen.groupby(["kind", "width"])
    found = {(str(kind), int(str(w))): surface(group, risk) for (kind, w), group in groups}
    return {(kind, width): found[kind, width] for kind in KINDS for width in widths if (kind, width) in found}


def chosen_widths(available: list[int], wanted: list[int] | None) -> list[int]:
    """Return the wanted widths, by default the smallest, the middle and the largest available one, sorted.

    Raises `UserError` for a width without triples.
    """
    for width in wanted or ():
        if width not in available:
            raise UserError(f"widths = {width}: there are triples of widths {', '.join(map(str, available))}")
    if wanted:
        return sorted(set(wanted))
    return sorted({available[0], available[(len(available) - 1) // 2], available[-1]})


def draw(found: Surfaces, title: str, path: Path, split: str = Split.TEST) -> None:
    """Draw a row of triangles for each kind and a column for each width, with one colour scale."""
    kinds, widths = list(dict.fromkeys(k for k, _ in found)), sorted({w for _, w in found})
    size = (1.4 + 3 * len(widths), 0.9 + 3.1 * len(kinds))
    figure, axes = plt.subplots(len(kinds), len(widths), figsize=size, constrained_layout=True, squeeze=False)
    norm = _scale(list(found.values()))
    for row, kind in zip(axes, kinds, strict=True):
        for axis, width in zip(row, widths, strict=True):
            axis.set_axis_off()
            if (kind, width) in found:
                each = found[kind, width]
                image = _triangle(axis, each, norm, kind == Kind.VIA)
                head = f"{kind}, width {width} (n = {each.n} triples)\nlargest {_nats(each, each.worst())}"
                axis.set_title(head, fontsize=9, pad=16)
    label = f"mean excess {split} loss (nats)"
    figure.colorbar(image, ax=axes, extend="min", label=label, shrink=0.8)
    headline(figure, f"{title}: loss of mixed networks minus mixed losses\n(mean, {METHOD})")
    what = f"Excess {split} loss of mixtures of three networks over the mixture of their losses"
    save(figure, path, caption(what, title, [each.n for each in found.values()], "triples"))


def _scale(found: list[Surface]) -> LogNorm:
    largest = max(each.excess.max() for each in found)
    top = largest if largest > 0 else 1.0
    return LogNorm(top / 10**DECADES, top, clip=True)


def _triangle(axis: Axes, surface: Surface, norm: LogNorm, reference: bool) -> Collection:
    grid = Triangulation(*(surface.weights @ CORNERS).T)
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
    for name, (x, y), up in zip(corners, CORNERS, (False, False, True), strict=True):
        axis.annotate(
            name,
            (x, y),
            (0, 3 if up else -3),
            textcoords="offset points",
            ha="center",
            va="bottom" if up else "top",
            fontsize=9,
        )
    axis.set_aspect("equal")
    axis.margins(0.06)
    return image


def describe(
    losses: Surfaces, errors: Surfaces, unaligned: Mapping[int, Interval], split: str = Split.TEST
) -> list[str]:
    """Return for each kind and width the excess risks where they are largest, and at equal weights.

    The excess errors are decided, at all weights by the point with the largest mean. Where that holds, the
    one whose interval reaches highest decides, so that the claim holds at every point. `unaligned` has the
    mean error barriers of unaligned pairs by width.
    """
    lines = []
    for (kind, width), loss in losses.items():
        error, base = errors[kind, width], unaligned.get(width)
        worst = error.least_certain() if connected(error.at(error.worst()).high) else error.worst()
        claim = f"  mean excess {split} error at most {THRESHOLD}"
        lines += [
            f"{kind}, width {width}: mean excess {split} loss at most {_nats(loss, loss.worst())}, at "
            f"weights {_weights(loss, loss.worst())}; barycentre {_nats(loss, loss.centre())} "
            f"(n = {loss.n} triples)",
            f"{claim} at all weights: {_decision(error, worst, base)}, the worst being "
            f"{_weights(error, worst)}",
            f"{claim} at the barycentre: {_decision(error, error.centre(), base)}",
        ]
    return lines


def _decision(surface: Surface, point: int, unaligned: Interval | None) -> str:
    found = surface.at(point)
    return in_words(SimpleNamespace(**{**vars(found), **vars(decide_one(found, unaligned))}), "triples")


def _nats(surface: Surface, point: int) -> str:
    found = surface.at(point)
    return f"{with_interval(found.mean, found.low, found.high)} nats"


def _weights(surface: Surface, point: int) -> str:
    return "(" + ", ".join(f"{weight:.2f}" for weight in surface.weights[point]) + ")"


def analyse(folder: Path, widths: list[int] | None = None) -> str:
    """Return the excess risks of every triangle as text; draw `figures/triangle_*.png` in the folder.

    By default the widths are the smallest, the middle and the largest. Raises `UserError` for a width without
    triples.
    """
    trials = read_frame(folder, "trials")
    ends = read_dense_ends(folder, trials, "barrier_id", "reference")
    parts = []
    for setting, rows in by_setting(ends, trials):
        triples = rows[(rows.interpolation == Interpolation.SIMPLEX) & rows.kind.isin(KINDS)]
        if triples.empty:
            continue
        shown = chosen_widths(sorted(map(int, triples.width.unique())), widths)
        triples = with_curves(triples[triples.width.isin(shown)], folder)
        losses, errors = (surfaces(triples, shown, risk) for risk in ("loss", "error"))
        split = str(triples.split.iloc[0])
        draw(losses, setting.title, folder / "figures" / f"triangle_{setting.stem}.png", split)
        plain = rows[(rows.kind == Kind.UNALIGNED) & (rows.interpolation == Interpolation.PAIR)]
        unaligned = {
            int(str(width)): interval(same.error_barrier.tolist(), members_of(same))
            for width, same in plain.groupby("width")
        }
        lines = [*themselves(triples, trials), *describe(losses, errors, unaligned, split)]
        parts.append("\n".join([f"{setting.title}: three networks", *lines]))
    return "\n\n".join(parts) or "triangle: no triples (compare.kinds via or joint, 3 networks)"


def _options(parser: ArgumentParser) -> None:
    text = "widths of the triangles (default: the smallest, the middle and the largest)"
    parser.add_argument("--widths", type=int, nargs="+", metavar="WIDTH", help=text)


if __name__ == "__main__":
    command(__doc__, "quickstart", analyse, _options)
