"""Ratios of mean barriers between two sets of pairs of the same trials."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.rows.members import members_of
from analysis.statistics.deciding import ABOVE, BELOW, side_of, with_reason
from analysis.statistics.jackknife import NOT_POSITIVE, Interval, ratio, with_interval


def share(rows: pd.DataFrame, reference: pd.DataFrame, risk: str) -> Interval:
    """Return the mean barrier of the pairs divided by that of the reference pairs of the same trials.

    It is NaN where the mean of the reference is not positive.
    """
    above, below = rows[f"{risk}_barrier"], reference[f"{risk}_barrier"]
    return ratio((above.tolist(), members_of(rows)), (below.tolist(), members_of(reference)))


def named_ends(name: str, found: Interval) -> dict[str, Any]:
    """Return an interval as the columns `name`, `name_low`, `name_high` and `name_reason`."""
    return {
        name: found.mean,
        f"{name}_low": found.low,
        f"{name}_high": found.high,
        f"{name}_reason": found.reason,
    }


def beside_one(ratios: pd.DataFrame, without: str) -> str:
    """Return at which widths ratios are below 1, above it or undecided, and the ratio at each width.

    `ratios` has a row for each `width`, with the columns of `named_ends("ratio", ...)`; `without` says what
    is not positive where there is nothing to divide by.
    """
    rows: list[Any] = list(ratios.sort_values("width").itertuples())
    found = [f"{row.width}: {_ratio(row, without)}" for row in rows]
    return f"{at_widths({row.width: side_of_one(row) for row in rows})}; ratio by width {', '.join(found)}"


def at_widths(words: Mapping[int, str]) -> str:
    """Return at which widths each word holds, decided ones first: `below at 8, 16; above at 32`."""
    return "; ".join(f"{word} at {_at(words, word)}" for word in sorted(set(words.values()), key=_order))


def side_of_one(row: Any) -> str:
    """Return in words on which side of 1 the interval of a ratio lies."""
    found = side_of(1, row.ratio_low, row.ratio_high, row.ratio_reason)
    return with_reason(found.state, found.reason)


def _order(word: str) -> tuple[int, str]:
    """Sort decided words before undecided ones."""
    return (BELOW, ABOVE, word).index(word), word


def _at(words: Mapping[int, str], word: str) -> str:
    found = [width for width in words if words[width] == word]
    return "every width" if len(found) == len(words) else ", ".join(map(str, found))


def _ratio(row: Any, without: str) -> str:
    if np.isnan(row.ratio):
        return f"none ({without if row.ratio_reason == NOT_POSITIVE else row.ratio_reason})"
    return with_interval(row.ratio, row.ratio_low, row.ratio_high)
