"""Barriers of several comparisons in few numbers, and those numbers in words."""

from typing import Any

import pandas as pd

from analysis.bootstrap import Members, interval, with_interval
from analysis.deciding import share_connected

SPREAD = ("mean", "low", "high", "maximum", "connected", "n")


def spread(values: pd.Series, members: Members) -> dict[str, float]:
    """Return the mean, the ends of its interval, the maximum, the share at or below 0.02, and the number."""
    return {
        **vars(interval(values.tolist(), members)),
        "maximum": float(values.max()),
        "connected": share_connected(values),
        "n": len(values),
    }


def in_words(row: Any, of: str = "pairs") -> str:
    """Write a row with `state` and the columns of an error barrier's spread as `holds (0.009 [0.005, ...`."""
    return (
        f"{row.state} ({with_interval(row.mean, row.low, row.high)}, maximum {row.maximum:.3f}, "
        f"{row.connected:.0%} of {row.n} {of})"
    )
