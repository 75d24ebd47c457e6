"""What an error barrier says of a claim: does it hold, fail, or cannot the tables tell?"""

import math
from collections.abc import Iterable

from analysis.style import THRESHOLD

ROUNDING = 1e-9  # an error barrier of 8 in 400 examples is at most 0.02, whatever its last bits
HOLDS, FAILS, UNDECIDED, NOT_INFORMATIVE = "holds", "fails", "undecided", "not informative"


def connected(barrier: float) -> bool:
    """Return whether an error barrier (share) counts as linear connectivity."""
    return barrier <= THRESHOLD + ROUNDING


def share_connected(barriers: Iterable[float]) -> float:
    """Return the share of error barriers that count as linear connectivity."""
    found = [connected(barrier) for barrier in barriers]
    return sum(found) / len(found)


def state(low: float, high: float, unaligned: float | None = None) -> str:
    """Decide from the ends of the interval of a mean error barrier (share; NaN: no interval).

    Where the networks are connected without any permutation (`unaligned` is their mean error barrier)
    a permutation can show nothing.
    """
    if unaligned is not None and connected(unaligned):
        return NOT_INFORMATIVE
    if math.isnan(high):
        return UNDECIDED
    if connected(high):
        return HOLDS
    return UNDECIDED if connected(low) else FAILS
