"""What an error barrier says of a claim: does it hold, fail, or cannot the tables tell?"""

import numpy as np

from analysis.style import THRESHOLD

HOLDS, FAILS, UNDECIDED, NOT_INFORMATIVE = "holds", "fails", "undecided", "not informative"


def state(low: float, high: float, unaligned: float | None = None) -> str:
    """Decide from the ends of the interval of a mean error barrier (share; NaN: no interval).

    Where the networks are connected without any permutation (`unaligned` is their mean error barrier)
    a permutation can show nothing.
    """
    if unaligned is not None and unaligned <= THRESHOLD:
        return NOT_INFORMATIVE
    if np.isnan(high):
        return UNDECIDED
    if high <= THRESHOLD:
        return HOLDS
    return FAILS if low > THRESHOLD else UNDECIDED
