"""Decisions: whether the interval of a mean error barrier supports a claim, refutes it, or leaves it open."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from raysweep.vocabulary import Kind

THRESHOLD = 0.02  # two networks count as linearly connected at or below this error barrier
ROUNDING = 1e-9  # an error barrier of 8 in 400 examples is at most 0.02, whatever its last bits
HOLDS, FAILS, UNDECIDED, NOT_INFORMATIVE = "holds", "fails", "undecided", "not informative"
BELOW, ABOVE = "below", "above"
STRADDLES = f"the interval straddles {THRESHOLD}"
NONE = float("nan")
NO_BASELINE = "no unaligned baseline"
PERHAPS = "whether the networks need a permutation is undecided"


@dataclass(frozen=True)
class Finding:
    """A state, and the `reason` why it is undecided; of a claim that holds, what leaves it in doubt."""

    state: str
    reason: str = ""


def with_reason(state: str, reason: str) -> str:
    """Return a state in words, as `undecided: fewer than four networks` or `fails at level 3`."""
    if state == HOLDS:
        return "holds in the mean" + (f", but {reason}" if reason else "")
    if state == FAILS:
        return f"{state} {reason}".rstrip()
    return f"{state}: {reason}" if state == UNDECIDED else state


def connected(barrier: float) -> bool:
    """Return whether an error barrier (share) counts as linear connectivity; NaN does not."""
    return barrier <= THRESHOLD + ROUNDING


def share_connected(barriers: Iterable[float]) -> float:
    """Return the share of error barriers that count as linear connectivity."""
    found = [connected(barrier) for barrier in barriers]
    return sum(found) / len(found)


def beside_threshold(found: Any) -> Finding:
    """Decide whether a mean error barrier (share) is at most 0.02, without asking for a baseline.

    `found` has the ends of the interval as `low` and `high` (NaN where there is none) and says as `reason`
    why there is none.
    """
    if math.isnan(found.high):
        return Finding(UNDECIDED, found.reason)
    if connected(found.high):
        return Finding(HOLDS)
    return Finding(UNDECIDED, STRADDLES) if connected(found.low) else Finding(FAILS)


def side_of(value: float, low: float, high: float, reason: str) -> Finding:
    """Decide on which side of a value an interval lies; without one (NaN) `reason` says why."""
    if math.isnan(high):
        return Finding(UNDECIDED, reason)
    if high < value:
        return Finding(BELOW)
    return Finding(ABOVE) if low > value else Finding(UNDECIDED, f"the interval straddles {value:g}")


def decide_one(found: Any, unaligned: Any) -> Finding:
    """Decide a claim about permutations; `found` is as in `beside_threshold`.

    `unaligned` is the same of these networks without a permutation, with their `mean`. Where they are
    connected without one, a permutation can show nothing; where this was not measured (None, or a mean of
    NaN), nothing is decided. Where it is undecided, a claim that holds says so.
    """
    if unaligned is None or math.isnan(unaligned.mean):
        return Finding(UNDECIDED, NO_BASELINE)
    without = beside_threshold(unaligned).state
    if without == HOLDS:
        return Finding(NOT_INFORMATIVE)
    own = beside_threshold(found)
    return Finding(HOLDS, PERHAPS) if (own.state, without) == (HOLDS, UNDECIDED) else own


def decide(
    summary: pd.DataFrame,
    by: str,
    at: Sequence[str],
    unaligned: str = Kind.UNALIGNED,
    without_baseline: Collection[str] = (),
) -> pd.DataFrame:
    """Return the error barriers of a summary, each with its decision on the claim about its permutations.

    `summary` has a row for each value of `by` (the kind of permutation), of the columns `at` and of `risk`,
    with the columns of `spread`. The baseline of a row is the row with the same values in `at` whose `by` is
    `unaligned`. Baselines, and rows whose `by` is in `without_baseline`, are compared with the threshold
    alone. The new columns are `state`, `reason` and `unaligned`, which is the mean of the baseline (NaN where
    there is none).
    """
    errors = summary[summary.risk == "error"]
    baselines = errors[errors[by] == unaligned]
    by_key = dict(zip(_keys(baselines, at), baselines.itertuples(), strict=True))
    bases: list[Any] = [by_key.get(key) for key in _keys(errors, at)]
    alone = errors[by].isin([unaligned, *without_baseline])
    findings = [
        beside_threshold(row) if on_its_own else decide_one(row, base)
        for row, on_its_own, base in zip(errors.itertuples(), alone, bases, strict=True)
    ]
    return errors.assign(
        state=[each.state for each in findings],
        reason=[each.reason for each in findings],
        unaligned=[NONE if base is None else base.mean for base in bases],
    )


def _keys(rows: pd.DataFrame, at: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(rows[list(at)].itertuples(index=False, name=None))
