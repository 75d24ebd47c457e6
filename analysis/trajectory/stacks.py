"""Super-alignment: is the permutation of several stacked checkpoints better than that of the last one?"""

from typing import Any

import pandas as pd

from analysis.rows.members import members_of
from analysis.statistics.deciding import ABOVE, BELOW, side_of, with_reason
from analysis.statistics.jackknife import interval, with_interval
from analysis.statistics.spread import UNITS
from raysweep.vocabulary import Kind

WORDS = {BELOW: "better", ABOVE: "worse"}
COLUMNS = ["series", "epoch", "risk", "mean", "low", "high", "reason", "n"]


def stacks_by_epoch(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return paired differences in barriers, `stacked n` minus last permutation, by series, epoch and risk.

    `pairs` come from `barriers.named`. Where a difference is negative, the stack is better. Rows whose epoch
    is NaN are means over all epochs.
    """
    direct = pairs[pairs.series == Kind.DIRECT]
    last = direct[direct.found == direct.found.max()]
    stacked = pairs[pairs.series.str.startswith(Kind.STACKED)]
    risks = [f"{risk}_barrier" for risk in UNITS]
    both = stacked.assign(pair=stacked.networks.map(tuple)).merge(
        last.assign(pair=last.networks.map(tuple))[["pair", *risks]], on="pair", suffixes=("", "_last")
    )
    rows = []
    for series, own in both.groupby("series"):
        for epoch, group in [*own.groupby("epoch"), (float("nan"), own)]:
            for risk in UNITS:
                differences = group[f"{risk}_barrier"] - group[f"{risk}_barrier_last"]
                ends = vars(interval(differences.tolist(), members_of(group)))
                at = {"series": series, "epoch": epoch, "risk": risk}
                rows.append({**at, **ends, "n": len(set(map(tuple, members_of(group))))})
    return pd.DataFrame(rows, columns=COLUMNS)


def names(stacks: pd.DataFrame) -> list[str]:
    """Return the series, sorted by the number of their checkpoints."""
    return sorted(set(stacks.series), key=lambda series: int(series.split()[1]))


def verdicts(stacks: pd.DataFrame) -> list[str]:
    """Return a sentence for each stack: is it better than the last checkpoint alone, over all epochs?"""
    sentences = []
    for series in names(stacks):
        own = stacks[(stacks.series == series) & stacks.epoch.isna()]
        parts = [
            f"{row['risk']} {with_interval(row['mean'], row['low'], row['high'])} "
            f"{UNITS[row['risk']]} ({_word(row)})"
            for row in own.to_dict("records")
        ]
        sentences.append(
            f"super-alignment of {series.split()[1]} checkpoints against the last alone, barriers over "
            f"all epochs: {', '.join(parts)}, n = {own.n.max()} pairs"
        )
    return sentences


def _word(row: Any) -> str:
    found = side_of(0, row["low"], row["high"], row["reason"])
    return WORDS.get(found.state) or with_reason(found.state, found.reason)
