"""Barriers of pairs as a multiple of those of other pairs of the same trials."""

from typing import Any

import pandas as pd

from analysis.rows.members import members_of
from analysis.statistics.jackknife import Interval, ratio


def share(rows: pd.DataFrame, reference: pd.DataFrame, risk: str) -> Interval:
    """Mean barrier of the pairs as a multiple of that of the reference, which are pairs of the same trials.

    Without a positive mean to divide by there is none (NaN).
    """
    above, below = rows[f"{risk}_barrier"], reference[f"{risk}_barrier"]
    return ratio((above.tolist(), members_of(rows)), (below.tolist(), members_of(reference)))


def named_ends(name: str, found: Interval) -> dict[str, Any]:
    """Return an interval as columns: `name`, `name_low`, `name_high` and `name_why` (no interval)."""
    return {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high, f"{name}_why": found.why}
