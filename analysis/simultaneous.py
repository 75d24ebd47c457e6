"""Does one permutation connect two networks at every place of a sequence: all epochs, or all levels?"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.bootstrap import with_interval
from analysis.deciding import FAILS, HOLDS, NOT_INFORMATIVE, UNDECIDED, state
from analysis.style import THRESHOLD

HALF = 0.5  # a permutation aligns, if not well, where it leaves less than this of the unaligned loss barrier
WORDS = {
    HOLDS: "the claim holds along {}",
    FAILS: "the claim fails somewhere",
    UNDECIDED: "the claim is undecided",
    NOT_INFORMATIVE: "the claim is not informative",
}


@dataclass(frozen=True)
class Decision:
    """What the error barriers (shares) under one permutation say of the whole sequence.

    The barrier is at most 0.02 at `holds` of the `told` places that can tell. `place` is where the mean is
    largest, whether it can tell or not; mean, interval, maximum, share of connected pairs and their number
    `n` are those of this place.
    """

    state: str
    holds: int
    told: int
    place: float
    mean: float
    low: float
    high: float
    maximum: float
    connected: float
    n: int


def decide(rows: pd.DataFrame, unaligned: Mapping[float, float]) -> Decision:
    """Decide from a row per `place` (mean, low, high, maximum, connected, n) and unaligned means by place."""
    ends = zip(rows.place, rows.low, rows.high, strict=True)
    states = [state(low, high, unaligned.get(place)) for place, low, high in ends]
    told = [word for word in states if word != NOT_INFORMATIVE]
    worst = rows.iloc[rows["mean"].argmax()]
    return Decision(
        state=together(told),
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


def sentence(found: Decision, along: str, place: str) -> str:
    """Say what was decided along training or pruning, whose places are called `place`."""
    return (
        f"{WORDS[found.state].format(along)} (error barrier at most {THRESHOLD} at {found.holds} of "
        f"{found.told} {place}s that can tell); largest mean "
        f"{with_interval(found.mean, found.low, found.high)} at {place} {found.place:g}, maximum "
        f"{found.maximum:.3f}, {found.connected:.0%} of {found.n} pairs connected"
    )


def below_half(share: float, low: float, high: float) -> str:
    """Decide whether a loss barrier is less than half of the unaligned one, from their ratio's interval."""
    if math.isnan(share):
        return NOT_INFORMATIVE
    if high < HALF:
        return HOLDS
    return FAILS if low >= HALF else UNDECIDED


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
