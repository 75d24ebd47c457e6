"""Decisions on a sequence: whether one permutation connects two networks at every epoch or level."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.statistics.deciding import (
    FAILS,
    HOLDS,
    NOT_INFORMATIVE,
    THRESHOLD,
    UNDECIDED,
    Finding,
    with_reason,
)
from analysis.statistics.jackknife import NOT_POSITIVE, Interval
from analysis.statistics.spread import DecidedSpread, in_numbers

HALF = 0.5  # below this share of the unaligned loss barrier a permutation aligns, if not well
WORDS = {
    HOLDS: "the claim holds in the mean along {}",
    FAILS: "the claim {}",
    UNDECIDED: "the claim is {}",
    NOT_INFORMATIVE: "the claim is not informative",
}
STRADDLES = f"the interval straddles {HALF}"


@dataclass(frozen=True, kw_only=True)
class Decision(DecidedSpread):
    """What the error barriers (shares) under one permutation say of a whole sequence.

    The sequence runs over a `coordinate`: epochs or levels. The mean barrier is decided to be at most 0.02 at
    `holds` of its `informative` positions, where networks are not connected without a permutation. `reason`
    names the positions at which the claim fails or, where it fails nowhere, those that leave it undecided;
    where it holds, those at which the networks may need no permutation.
    `position` is that of the largest mean (or of one that is not a number), informative or not; the spread
    belongs to this position. `undecided` has the means of the undecided positions, with the reasons.
    """

    coordinate: str
    holds: int
    informative: int
    position: float
    undecided: tuple[Interval, ...]

    @property
    def counts(self) -> str:
        """At how many positions the claim holds and is undecided: `2 of the 3 informative levels`."""
        left = f", undecided at {len(self.undecided)}" if self.undecided else ""
        return f"{self.holds} of the {self.informative} informative {self.coordinate}s{left}"


def decide_together(rows: pd.DataFrame, coordinate: str) -> Decision:
    """Decide a claim on a sequence from the rows of `deciding.decide`, one for each value of `coordinate`."""
    each: list[Any] = rows.sort_values(coordinate).to_dict("records")
    found = {row[coordinate]: Finding(row["state"], row["reason"]) for row in each}
    informative = [one.state for one in found.values() if one.state != NOT_INFORMATIVE]
    doubtful = {at: one for at, one in found.items() if one.reason}
    unknown = rows["mean"].isna()
    worst = rows.iloc[unknown.argmax() if unknown.any() else rows["mean"].argmax()]
    state = together(informative)
    return Decision(
        state=state,
        reason=reasons(found if state in (FAILS, UNDECIDED) else doubtful, coordinate, state),
        coordinate=coordinate,
        holds=informative.count(HOLDS),
        informative=len(informative),
        position=float(worst[coordinate]),
        undecided=tuple(_interval(row) for row in each if row["state"] == UNDECIDED),
        **{name: float(worst[name]) for name in ("mean", "low", "high", "maximum", "connected")},
        n=int(worst.n),
    )


def _interval(row: Any) -> Interval:
    return Interval(*(row[name] for name in ("mean", "low", "high", "reason")))


def together(states: Iterable[str]) -> str:
    """Return the state of a sequence from those of its informative positions."""
    found = set(states)
    if not found:
        return NOT_INFORMATIVE
    if found == {HOLDS}:
        return HOLDS
    return FAILS if FAILS in found else UNDECIDED


def reasons(found: Mapping[float, Finding], coordinate: str, state: str = UNDECIDED) -> str:
    """List the positions of a state by reason: `the interval straddles 0.02 at epoch 3, 5`, `at epoch 1`."""
    positions: dict[str, list[str]] = {}
    for position, one in found.items():
        if one.state == state:
            positions.setdefault(one.reason, []).append(f"{position:g}")
    return "; ".join(f"{reason} at {coordinate} {', '.join(at)}".lstrip() for reason, at in positions.items())


def sentence(found: Decision, along: str) -> str:
    """Return the decision on a sequence along training or pruning in words."""
    doubt = f", but {found.reason}" if found.state == HOLDS and found.reason else ""
    word = along if found.state == HOLDS else with_reason(found.state, found.reason)
    return (
        f"{WORDS[found.state].format(word)}{doubt} (mean error barrier decided to be at most {THRESHOLD} at "
        f"{found.counts}); largest at {found.coordinate} "
        f"{found.position:g}: {in_numbers(found, 'pairs')}"
    )


def below_half(low: float, high: float, reason: str) -> Finding:
    """Decide whether a loss barrier is less than half of the unaligned one, from the interval of their ratio.

    Where there is no interval (NaN), `reason` says why; without a positive unaligned barrier nothing can be
    said.
    """
    if reason == NOT_POSITIVE:
        return Finding(NOT_INFORMATIVE)
    if math.isnan(high):
        return Finding(UNDECIDED, reason)
    if high < HALF:
        return Finding(HOLDS)
    return Finding(FAILS) if low >= HALF else Finding(UNDECIDED, STRADDLES)


def first_middle_last(epochs: Iterable[float]) -> dict[str, float]:
    """Name the epochs that stand for all others; an epoch with two names keeps the later one.

    Networks before training (epoch 0) are chosen only where there are no others.
    """
    found = sorted(set(epochs))
    trained = [epoch for epoch in found if epoch > 0] or found
    if not trained:
        return {}
    named = {trained[0]: "first", trained[len(trained) // 2]: "middle", trained[-1]: "last"}
    return {name: epoch for epoch, name in named.items()}
