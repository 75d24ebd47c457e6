"""Hybrids: which layer groups tolerate an early permutation while the others have the last one?"""

from typing import Any

import pandas as pd

from analysis.rows.members import members_of
from analysis.statistics.deciding import (
    ABOVE,
    BELOW,
    FAILS,
    HOLDS,
    THRESHOLD,
    UNDECIDED,
    decide,
    side_of,
    with_reason,
)
from analysis.statistics.jackknife import with_interval
from analysis.statistics.relative import named_ends, share
from analysis.statistics.simultaneous import reasons
from analysis.statistics.spread import SPREAD, UNITS, spread
from raysweep.vocabulary import Kind

NONE, LAST = "no permutation", "last permutation"
FROM_BELOW, FROM_ABOVE = "bottom_up", "top_down"
COLUMNS = ["hybrid", "layers", "early", "risk", *SPREAD, "ratio", "ratio_low", "ratio_high", "ratio_reason"]


def hybrids_by_layer(barriers: pd.DataFrame, per_epoch: float) -> pd.DataFrame:
    """Return the spread of barriers at the end of training by hybrid, `layers` and risk.

    `layers` counts the layer groups with the early permutation from below or above, or is the index of the
    only one with or without it; `early` is the epoch of the early permutation. Rows without `layers` are of
    the same pairs without a permutation and under the last one. `ratio`, with its interval, is the mean
    barrier from below divided by that of as many layer groups from above (NaN elsewhere).
    """
    chosen = barriers[barriers.kind == Kind.HYBRID]
    if chosen.empty:
        return pd.DataFrame(columns=COLUMNS)
    early = chosen.permutation_step.iloc[0] / per_epoch
    end = barriers[barriers.step == chosen.step.max()]
    found = end.permutation_step.astype(float)
    groups: dict[tuple[str, Any], pd.DataFrame] = {
        (NONE, float("nan")): end[end.kind == Kind.UNALIGNED],
        (LAST, float("nan")): end[(end.kind == Kind.DIRECT) & (found == found.max())],
    }
    groups |= {(str(at[0]), at[1]): group for at, group in chosen.groupby(["hybrid", "hybrid_layers"])}
    rows = []
    for (hybrid, layers), group in groups.items():
        above = groups.get((FROM_ABOVE, layers)) if hybrid == FROM_BELOW else None
        for risk in UNITS if len(group) else ():
            at = {"hybrid": hybrid, "layers": layers, "early": early, "risk": risk}
            ratio = {} if above is None else named_ends("ratio", share(group, above, risk))
            rows.append({**at, **spread(group[f"{risk}_barrier"], members_of(group)), **ratio})
    return pd.DataFrame(rows, columns=COLUMNS)


def verdicts(hybrids: pd.DataFrame) -> list[str]:
    """Return how many layer groups tolerate the early permutation, and whether lower ones do better."""
    count = hybrids.layers.max()
    errors = decide(hybrids, "hybrid", ["risk"], unaligned=NONE)
    far = {way: _reach(errors[errors.hybrid == way]) for way in (FROM_BELOW, FROM_ABOVE)}
    if not all(far.values()):
        return []
    compared = hybrids[
        (hybrids.risk == "loss") & hybrids.ratio.notna() & hybrids.layers.between(1, count - 1)
    ]
    ratios = ", ".join(map(_ratio, compared.to_dict("records")))
    return [
        f"hybrids at the end of training, with the permutation of epoch {hybrids.early.iloc[0]:g} in some "
        f"of {count:.0f} layer groups and the last one in the others: mean error barrier at most {THRESHOLD} "
        f"with it in {far[FROM_BELOW]} from below, in {far[FROM_ABOVE]} from above; loss barrier from "
        f"below divided by that from above, by number of layer groups: {ratios or 'none'}: {_first(compared)}"
    ]


def _ratio(row: Any) -> str:
    return f"{row['layers']:.0f}: {with_interval(row['ratio'], row['ratio_low'], row['ratio_high'])}"


def _reach(rows: pd.DataFrame) -> str:
    """Return up to how many layer groups the error barrier is low; "" without rows.

    Where the next number does not fail but is undecided or not informative, the reason follows.
    """
    held = "no"
    for row in list[Any](rows.sort_values("layers").itertuples()):
        if row.state == FAILS:
            break
        if row.state != HOLDS:
            return f"{held} layer groups ({row.layers:.0f}: {with_reason(row.state, row.reason)})"
        held = f"up to {row.layers:.0f}" if row.layers else held
    return f"{held} layer groups" if len(rows) else ""


def _first(compared: pd.DataFrame) -> str:
    ends = (compared.ratio_low, compared.ratio_high, compared.ratio_reason)
    found = {n: side_of(1, *each) for n, *each in zip(compared.layers, *ends, strict=True)}
    sides = {each.state for each in found.values()}
    if sides == {BELOW}:
        return "lower layer groups tolerate an early permutation better than higher ones"
    if sides == {ABOVE}:
        return "higher layer groups tolerate an early permutation better than lower ones"
    reason = reasons(found, "number") or ("the ratios disagree" if found else "no ratio")
    return f"which layer groups tolerate an early permutation better is {UNDECIDED}: {reason}"
