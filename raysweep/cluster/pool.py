"""A pool of actors that align and compare: at most two tiles in flight per actor, bounded attempts."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ray

from raysweep.cluster.events import Listener, failure
from raysweep.sweep.schema import Sections
from raysweep.version import code_digest
from raysweep.work.tile import Tile, TileWorker

IN_FLIGHT = 2
IDLE = 10.0  # seconds without work after which an actor ends, so that an autoscaler can remove its node
ATTEMPTS = 3  # for a tile whose process dies; an exception is deterministic, so the tile is split at once

_Actor = ray.remote(TileWorker)


@dataclass
class _Flight:
    """A tile on its way; `since` is when its actor turned to it (None while another one is before it)."""

    tile: Tile
    attempts: int
    actor: Any
    since: float | None

    def overdue(self, limit: float) -> bool:
        return self.since is not None and time.monotonic() > self.since + limit * len(self.tile.units)


class Pool:
    """Actors with the resources of the sweep file; `run` feeds them tiles."""

    def __init__(self, root: str, sections: Sections) -> None:
        worker = sections.resources.align
        fit = int(ray.cluster_resources().get("CPU", 1) // worker.cpu)
        options = {"num_cpus": worker.cpu, "num_gpus": worker.gpu}

        def start() -> Any:
            return _Actor.options(**options).remote(root, sections, code_digest())  # type: ignore[attr-defined]

        self._limit = max(1, min(fit, sections.resources.workers or fit))
        self._seconds = sections.resources.unit_seconds
        self._start: Callable[[], Any] = start
        self._actors: list[Any] = []

    def run(self, tiles: list[Tile], listener: Listener) -> list[dict[str, Any]]:
        """Compute all tiles; one that fails is split until the failing unit is alone. Returns failures.

        Actors are started as they are needed, and stay for the next call. A unit that raises, hangs or kills
        its process is tried a bounded number of times and ends in the failures.
        """
        run = _Run(self._actors, self._start, self._seconds, listener)
        while len(self._actors) < min(self._limit, len(tiles)):
            self._actors.append(run.start())
        return run.all(tiles)

    def close(self) -> None:
        """End the actors, so that their CPUs are free."""
        while self._actors:
            ray.kill(self._actors.pop())


class _Run:
    """The tiles of one call: those that wait, those in flight, and what failed."""

    def __init__(
        self, actors: list[Any], start: Callable[[], Any], seconds: float, listener: Listener
    ) -> None:
        self._actors, self._new, self._seconds, self._listener = actors, start, seconds, listener
        self._starting: dict[
            Any, Any
        ] = {}  # actors that are not ready yet, by the reference that will say so
        self._queue: deque[tuple[Tile, int]] = deque()
        self._flying: dict[Any, _Flight] = {}
        self._hanging: set[Any] = set()
        self._idle: dict[Any, float] = {}  # since when an actor has had nothing to do
        self._failures: list[dict[str, Any]] = []

    def start(self) -> Any:
        """Start an actor; the time that it takes until it is ready belongs to no tile."""
        actor = self._new()
        self._starting[actor.__ray_ready__.remote()] = actor
        return actor

    def all(self, tiles: list[Tile]) -> list[dict[str, Any]]:
        self._queue.extend((tile, 0) for tile in tiles)
        while self._queue or self._flying:
            self._send()
            awaited = [*self._flying, *self._starting]
            ready, _ = ray.wait(awaited, num_returns=1, timeout=min(1.0, self._seconds))
            for reference in ready:
                if reference in self._starting:
                    self._turn_to_next(self._starting.pop(reference))
                else:
                    self._land(reference)
            self._end_overdue()
            self._release_idle()
        return self._failures

    def _send(self) -> None:
        for actor in self._actors:
            while self._queue and self._has_room(actor, self._queue[0][1]):
                tile, attempts = self._queue.popleft()
                idle = not self._beside(actor) and actor not in self._starting.values()
                since = time.monotonic() if idle else None
                self._flying[actor.run.remote(tile)] = _Flight(tile, attempts + 1, actor, since)

    def _turn_to_next(self, actor: Any) -> None:
        for flight in self._beside(actor)[:1]:
            flight.since = time.monotonic()

    def _beside(self, actor: Any) -> list[_Flight]:
        return [flight for flight in self._flying.values() if flight.actor == actor]

    def _has_room(self, actor: Any, attempts: int) -> bool:
        """A tile whose process died before is alone on its actor, so that it takes no other tile with it."""
        beside = self._beside(actor)
        if attempts or any(flight.attempts > 1 for flight in beside):
            return not beside
        return len(beside) < IN_FLIGHT

    def _land(self, reference: Any) -> None:
        flight = self._flying.pop(reference)
        self._turn_to_next(flight.actor)
        try:
            ray.get(reference)
            self._listener.advance(len(flight.tile.units))
        except ray.exceptions.RayActorError as error:
            if flight.actor in self._actors:
                self._actors[self._actors.index(flight.actor)] = self.start()
            hung = TimeoutError(f"took longer than resources.unit_seconds = {self._seconds:g}")
            self._again(flight, True, hung if reference in self._hanging else error)
        except ray.exceptions.RayTaskError as error:
            self._again(flight, False, error)

    def _end_overdue(self) -> None:
        """Kill the actors of tiles that take too long; the tiles land as lost ones."""
        for reference, flight in self._flying.items():
            if reference not in self._hanging and flight.overdue(self._seconds):
                self._hanging.add(reference)
                ray.kill(flight.actor)

    def _release_idle(self) -> None:
        """End actors for which there has been no work for a while, but for one."""
        now = time.monotonic()
        for actor in list(self._actors):
            if self._beside(actor):
                self._idle.pop(actor, None)
            elif now - self._idle.setdefault(actor, now) > IDLE and len(self._actors) > 1:
                self._actors.remove(actor)
                ray.kill(actor)

    def _again(self, flight: _Flight, retry: bool, error: Exception) -> None:
        tile = flight.tile
        if len(tile.units) > 1:
            self._queue.extend((replace(tile, units=(unit,)), 0) for unit in tile.units)
        elif retry and flight.attempts < ATTEMPTS:
            self._queue.append((tile, flight.attempts))
        else:
            self._failures.append(failure(tile.ids[0], tile.what, error, flight.attempts))
            self._listener.failed(self._failures[-1])
            self._listener.advance(1)
