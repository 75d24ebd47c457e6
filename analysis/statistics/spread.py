"""The summary of several comparisons: mean, interval, maximum and share connected, in words and in tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.statistics.deciding import Finding, share_connected, with_reason
from analysis.statistics.jackknife import Members, interval, with_interval

UNITS = {"error": "share", "loss": "nats"}  # the unit of each risk
SPREAD = ("mean", "low", "high", "reason", "maximum", "connected", "n")


@dataclass(frozen=True, kw_only=True)
class DecidedSpread(Finding):
    """A decision on error barriers (shares), with their spread: what `spread` returns of them."""

    mean: float
    low: float
    high: float
    maximum: float
    connected: float
    n: int


def spread(values: pd.Series, members: Members) -> dict[str, Any]:
    """Return the mean of error or loss barriers, the ends of its interval, the maximum and the number `n`.

    `connected` is the share of values at or below 0.02. The maximum is taken over the finite values; the
    others count as not connected, and `reason` names them. Without an interval, `reason` says why.
    """
    return {
        **vars(interval(values.tolist(), members)),
        "maximum": float(values.max()),
        "connected": share_connected(values),
        "n": len(values),
    }


def mean(values: pd.Series, members: Members) -> dict[str, Any]:
    """Return the mean, the ends of its interval and the number of values.

    All networks count as one population, although masks that are handed around a ring look like two.
    """
    return {**vars(interval(values.tolist(), members, alike=True)), "n": len(values)}


def in_words(row: Any, of: str = "pairs") -> str:
    """Return the decision and the spread of an error barrier in words.

    For instance `holds in the mean (0.009 [0.005, 0.014], maximum 0.021, 83% of 6 pairs connected)`.
    """
    return f"{with_reason(row.state, row.reason)} ({in_numbers(row, of)})"


def in_numbers(row: Any, of: str) -> str:
    """Return mean, interval and maximum of a spread, and the share of connected comparisons, called `of`."""
    return (
        f"{with_interval(row.mean, row.low, row.high)}, maximum {row.maximum:.3f}, "
        f"{row.connected:.0%} of {row.n} {of} connected"
    )


def wide_table(
    rows: pd.DataFrame, index: str | list[str], columns: str | list[str], sort: bool = True
) -> pd.DataFrame:
    """Return means with their intervals as texts, with a line for each value of `index`.

    Cells without a mean are empty. Lines are sorted, or with `sort=False` in the order of the rows; columns
    are always sorted. A categorical column is sorted by its categories.
    """
    text = list(map(with_interval, rows["mean"], rows.low, rows.high))
    wide = rows.assign(text=text).pivot_table(
        index=index, columns=columns, values="text", aggfunc="first", observed=True, sort=sort
    )
    return wide.sort_index(axis=1).fillna("")


def in_order(labels: Iterable[str]) -> "pd.Categorical[str]":
    """Return labels as a categorical whose order is that of their first appearance."""
    found = list(labels)
    return pd.Categorical(found, list(dict.fromkeys(found)), ordered=True)
