"""The actors of the pool, and the tiles that were sent to them."""

import time
from dataclasses import dataclass, field
from typing import Any

from raysweep.cluster.tile_sizing import FIRST
from raysweep.work.tile import Tile


@dataclass(eq=False)
class Worker:
    """An actor; `starting` resolves to its node once it runs, and `idle` is when it ran out of work."""

    actor: Any
    starting: Any
    node: str = ""
    setting: str | None = None
    idle: float | None = None
    flights: "list[Flight]" = field(default_factory=list)

    def ended(self, flight: "Flight") -> None:
        """One of its tiles has ended, so that the next one begins."""
        self.flights.remove(flight)
        for following in self.flights[:1]:
            following.since = time.monotonic()


@dataclass(eq=False)
class Flight:
    """A tile that was sent to a worker; `since` is when the worker started it, None while it is queued."""

    tile: Tile
    attempts: int
    worker: Worker
    since: float | None
    hangs: bool = False

    @property
    def is_first(self) -> bool:
        """Whether it is the next one of its worker to end: an actor carries out its calls in order."""
        return self.worker.flights[0] is self

    def overdue(self, limit: float) -> bool:
        """Whether it takes longer than `limit` seconds per job."""
        jobs = min(len(self.tile.jobs), FIRST)  # a larger tile consists of jobs that are known to be short
        return self.since is not None and time.monotonic() > self.since + limit * jobs
