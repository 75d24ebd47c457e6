"""Barriers of several comparisons in few numbers, and those numbers in words."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from analysis.statistics.deciding import share_connected, with_reason
from analysis.statistics.jackknife import Members, interval, with_interval

UNITS = {"error": "share", "loss": "nats"}  # of the risks
SPREAD = ("mean", "low", "high", "why", "maximum", "connected", "n")


def spread(values: pd.Series, members: Members) -> dict[str, Any]:
    """Return the mean, the ends of its interval (or why there is none), the maximum, and the number.

    `connected` is the share at or below 0.02. The maximum is of the values that are numbers; `why` names the
    others, of which none is connected.
    """
    return {
        **vars(interval(values.tolist(), members)),
        "maximum": float(values.max()),
        "connected": share_connected(values),
        "n": len(values),
    }


def mean(values: pd.Series, members: Members) -> dict[str, Any]:
    """Return the mean, the ends of its interval, and the number of values.

    Networks are of one kind, though masks that each hands to the next go around a ring.
    """
    return {**vars(interval(values.tolist(), members, alike=True)), "n": len(values)}


def in_words(row: Any, of: str = "pairs") -> str:
    """Write a row with `state` and the columns of an error barrier's spread, the maximum beside the mean.

    `holds in the mean (0.009 [0.005, 0.014], maximum 0.021, 83% of 6 pairs connected)`.
    """
    return f"{with_reason(row.state, row.why)} ({in_numbers(row, of)})"


def in_numbers(row: Any, of: str) -> str:
    """Write the numbers of a spread: mean and interval, maximum, and the share of connected `of`."""
    return (
        f"{with_interval(row.mean, row.low, row.high)}, maximum {row.maximum:.3f}, "
        f"{row.connected:.0%} of {row.n} {of} connected"
    )


def wide_table(
    rows: pd.DataFrame, index: str | list[str], columns: str | list[str], sort: bool = True
) -> pd.DataFrame:
    """Return the texts of means with their intervals, a line per value of `index`; empty where there is none.

    Lines are sorted, or else in the order in which they appear; `columns` are always sorted. A categorical
    column has its own order.
    """
    text = list(map(with_interval, rows["mean"], rows.low, rows.high))
    wide = rows.assign(text=text).pivot_table(
        index=index, columns=columns, values="text", aggfunc="first", observed=True, sort=sort
    )
    return wide.sort_index(axis=1).fillna("")


def in_order(labels: Iterable[str]) -> "pd.Categorical[str]":
    """Return labels as a category that is sorted as they first appear."""
    found = list(labels)
    return pd.Categorical(found, list(dict.fromkeys(found)), ordered=True)
