"""Does one permutation connect two networks at every place of a sequence: all epochs, or all levels?"""

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
from analysis.statistics.spread import in_numbers

HALF = 0.5  # a permutation aligns, if not well, where it leaves less than this of the unaligned loss barrier
WORDS = {
    HOLDS: "the claim holds in the mean along {}",
    FAILS: "the claim {}",
    UNDECIDED: "the claim is {}",
    NOT_INFORMATIVE: "the claim is not informative",
}
STRADDLES = f"the interval straddles {HALF}"


@dataclass(frozen=True)
class Decision:
    """What the error barriers (shares) under one permutation say of the whole sequence.

    The mean barrier is at most 0.02 at `holds` of the `told` places that can tell, and `why` names those at
    which it fails or, where it fails at none, that leave it undecided, in `unit`s. `place` is where the mean
    is largest (or unknown), whether it can tell or not; mean, interval, maximum, share of connected pairs and
    their number `n` are those of this place.
    """

    state: str
    why: str
    unit: str
    holds: int
    told: int
    place: float
    mean: float
    low: float
    high: float
    maximum: float
    connected: float
    n: int


def decide_together(rows: pd.DataFrame, unit: str) -> Decision:
    """Decide from the rows of `deciding.decide`, one per `place`.

    Places are in `unit`s: epochs or levels.
    """
    each: list[Any] = list(rows.sort_values("place").itertuples())
    found = {row.place: Finding(row.state, row.why) for row in each}
    told = [one.state for one in found.values() if one.state != NOT_INFORMATIVE]
    unknown = rows["mean"].isna()
    worst = rows.iloc[unknown.argmax() if unknown.any() else rows["mean"].argmax()]
    word = together(told)
    return Decision(
        state=word,
        why=reasons(found, unit, word) if word in (FAILS, UNDECIDED) else "",
        unit=unit,
        holds=told.count(HOLDS),
        told=len(told),
        place=float(worst.place),
        **{name: float(worst[name]) for name in ("mean", "low", "high", "maximum", "connected")},
        n=int(worst.n),
    )


def together(states: Iterable[str]) -> str:
    """Return what the states of the places that can tell say of them all."""
    found = set(states)
    if not found:
        return NOT_INFORMATIVE
    if found == {HOLDS}:
        return HOLDS
    return FAILS if FAILS in found else UNDECIDED


def reasons(found: Mapping[float, Finding], unit: str, of: str = UNDECIDED) -> str:
    """Name the places of one state, by reason: `the interval straddles 0.02 at epoch 3, 5`, `at epoch 1`."""
    places: dict[str, list[str]] = {}
    for place, one in found.items():
        if one.state == of:
            places.setdefault(one.why, []).append(f"{place:g}")
    return "; ".join(f"{why} at {unit} {', '.join(at)}".lstrip() for why, at in places.items())


def sentence(found: Decision, along: str) -> str:
    """Say what was decided along training or pruning."""
    word = along if found.state == HOLDS else with_reason(found.state, found.why)
    return (
        f"{WORDS[found.state].format(word)} (mean error barrier at most {THRESHOLD} at {found.holds} of "
        f"{found.told} {found.unit}s that can tell); largest at {found.unit} {found.place:g}: "
        f"{in_numbers(found, 'pairs')}"
    )


def below_half(share: float, low: float, high: float, why: str) -> Finding:
    """Decide whether a loss barrier is less than half of the unaligned one, from their ratio's interval.

    `why` there is no interval, if there is none.
    """
    if math.isnan(share):
        return Finding(NOT_INFORMATIVE)
    if math.isnan(high):
        return Finding(UNDECIDED, why)
    if high < HALF:
        return Finding(HOLDS)
    return Finding(FAILS) if low >= HALF else Finding(UNDECIDED, STRADDLES)


def first_middle_last(places: Iterable[float]) -> dict[str, float]:
    """Name the places of training that stand for all; two names for one place are one, the later name.

    Networks before training (place 0) stand for nothing unless there are no others.
    """
    found = sorted(set(places))
    trained = [place for place in found if place > 0] or found
    if not trained:
        return {}
    named = {trained[0]: "first", trained[len(trained) // 2]: "middle", trained[-1]: "last"}
    return {name: place for place, name in named.items()}
