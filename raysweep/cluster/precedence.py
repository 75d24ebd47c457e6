"""Trials take precedence over the pool: whether one waits for what the pool holds."""

import math
import time
from collections.abc import Container, Iterable

from raysweep.cluster.capacity import Needs, placements_pending, room_for

ASKING = 0.1  # share of the time in which the pool may ask


class Precedence:
    """Asks Ray whether a trial waits for resources, at most `ASKING` of the time.

    Ray lists all placement groups that a run of Tune has ever had, so the answer takes longer and longer.
    """

    def __init__(self) -> None:
        self._waits, self._asks_again = False, -math.inf

    def waits(self, needs: Needs, held: Iterable[tuple[str, Needs]], avoided: Container[str]) -> bool:
        """Whether a trial with these needs waits, and would fit once what is `held` on each node is free.

        Nodes that are avoided have no room for it.
        """
        began = time.monotonic()
        if began >= self._asks_again:
            self._waits = placements_pending() and room_for(needs, held, avoided)
            ended = time.monotonic()
            self._asks_again = ended + (ended - began) / ASKING
        return self._waits
