"""Does one permutation connect two networks at every place of a sequence: all epochs, or all levels?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.deciding import FAILS, HOLDS, NOT_INFORMATIVE, UNDECIDED, state


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
