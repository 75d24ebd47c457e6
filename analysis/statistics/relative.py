"""Ratios of mean barriers between two sets of pairs of the same trials."""

from typing import Any

import pandas as pd

from analysis.rows.members import members_of
from analysis.statistics.jackknife import Interval, ratio


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
