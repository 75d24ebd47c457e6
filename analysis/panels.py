"""Panels that several figures share."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from analysis.style import THRESHOLD, Mark

UNITS = {"error": "share", "loss": "nats"}


def lines(axis: Axes, frame: pd.DataFrame, marks: Mapping[str, Mark], threshold: bool = False) -> None:
    """Draw lines with intervals on logarithmic axes, a tick per x.

    `frame` has a row per `x` and `series`: `mean`, `low`, `high` (NaN: no interval) and `n`. Means at or
    below zero have no logarithm: they lie on the floor, half of the smallest positive mean, in a hollow
    mark. `marks` gives order and look of the series, `threshold` adds the line at an error barrier of 0.02.
    """
    floor = _floor(frame["mean"])
    for series, mark in marks.items():
        rows = frame[frame.series == series].sort_values("x")
        if len(rows):
            _line(axis, rows, f"{series} ({_count(rows.n)})", mark, floor)
    if (frame["mean"] <= 0).any():
        axis.plot([], [], "v", color="0.4", markersize=11, mfc="none", label="at or below zero")
    places = sorted(frame.x.unique())
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(places, [str(place) for place in places])
    axis.grid(alpha=0.25)
    if threshold:
        axis.axhline(THRESHOLD, color="0.4", linestyle="--", linewidth=1)
        axis.annotate(str(THRESHOLD), (places[0], THRESHOLD), va="bottom", color="0.3")


def _line(axis: Axes, rows: pd.DataFrame, label: str, mark: Mark, floor: float) -> None:
    shown = rows["mean"].clip(lower=floor)
    axis.plot(rows.x, shown, mark.line, color=mark.colour, marker=mark.marker, label=label)
    low, high = rows.low.clip(lower=floor), rows.high.clip(lower=floor)
    axis.fill_between(rows.x, low, high, color=mark.colour, alpha=0.13, linewidth=0)
    censored = rows["mean"] <= 0
    axis.plot(rows.x[censored], shown[censored], "v", color=mark.colour, markersize=11, mfc="none")


def _floor(means: pd.Series) -> float:
    positive = means[means > 0]
    return positive.min() / 2 if len(positive) else 1e-4


def _count(n: pd.Series) -> str:
    return "n = " + "-".join(map(str, sorted({n.min(), n.max()})))
