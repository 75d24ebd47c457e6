"""How many more workers a backlog deserves than the cluster has room for.

An autoscaler adds nodes for actors that wait for room. Ray's public interface does not say whether there is
one; where there is none, actors that wait take nothing from anyone. They end with their driver, which a
request of `ray.autoscaler.sdk.request_resources` would not.
"""

import math
import time

from raysweep.cluster.tile_source import TileSource

WORTH = 60.0  # seconds of work that there must be for each worker, because a node takes that long to start
MOST = 200  # workers that wait for room at a time
HOLD = 15.0  # seconds for which a backlog must deserve more workers: the first tiles load data


class Growth:
    """How many workers a run may have on a cluster that `may_grow`, or that has the size it has."""

    def __init__(self, may_grow: bool) -> None:
        self._may_grow, self._deserves_since = may_grow, math.inf

    def places(self, source: TileSource, fitting: int) -> int:
        """Return how many fit, and how many more what is ready has deserved for `HOLD` seconds."""
        now = time.monotonic()
        more = more_workers(source.seconds, source.ready, fitting) if self._may_grow else 0
        self._deserves_since = min(self._deserves_since, now) if more else math.inf
        return fitting + more if now - self._deserves_since >= HOLD else fitting


def more_workers(seconds: float, jobs: int, fitting: int) -> int:
    """Return how many workers to start beyond the `fitting` ones, for which there is room.

    `jobs` are ready, which would take one worker this many `seconds`. The number of workers at most doubles
    at a time: by the time that the new ones work, more is known.
    """
    deserved = min(jobs, int(seconds / WORTH))
    return max(0, min(deserved - fitting, max(1, fitting), MOST))
