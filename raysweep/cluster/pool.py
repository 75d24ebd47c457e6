"""A pool of actors that align and compare: at most two tiles in flight per actor, bounded attempts."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ray

from raysweep.cluster.events import Listener, failure
from raysweep.sweep.schema import Sections
from raysweep.work.tile import Tile, TileWorker

IN_FLIGHT = 2
ATTEMPTS = 3  # for a tile whose process dies; an exception is deterministic, so the tile is split at once

_Actor = ray.remote(TileWorker)


class Pool:
    """Actors with the resources of the sweep file; `run` feeds them tiles."""

    def __init__(self, root: str, sections: Sections) -> None:
        worker, rest = sections.resources.align, sections.train
        fit = int(ray.cluster_resources().get("CPU", 1) // worker.cpu)
        options = {"num_cpus": worker.cpu, "num_gpus": worker.gpu}

        def start() -> Any:
            return _Actor.options(**options).remote(  # type: ignore[attr-defined]
                root, sections.align, sections.compare, rest.data_root, rest.download
            )

        self._limit = max(1, min(fit, sections.resources.workers or fit))
        self._start: Callable[[], Any] = start
        self._actors: list[Any] = []

    def run(self, tiles: list[Tile], listener: Listener) -> list[dict[str, Any]]:
        """Compute all tiles; one that fails is split until the failing unit is alone. Returns failures.

        Actors are started as they are needed, and stay for the next call.
        """
        while len(self._actors) < min(self._limit, len(tiles)):
            self._actors.append(self._start())
        queue = deque((tile, 0) for tile in tiles)
        flying: dict[Any, tuple[Tile, int, Any]] = {}
        failures: list[dict[str, Any]] = []
        while queue or flying:
            for actor in self._actors:
                while queue and _has_room(actor, queue[0][1], flying):
                    tile, attempts = queue.popleft()
                    flying[actor.run.remote(tile)] = (tile, attempts + 1, actor)
            (reference,), _ = ray.wait(list(flying), num_returns=1)
            tile, attempts, actor = flying.pop(reference)
            try:
                ray.get(reference)
                listener.advance(len(tile.units))
            except ray.exceptions.RayActorError as error:
                if actor in self._actors:
                    self._actors[self._actors.index(actor)] = self._start()
                self._again(tile, attempts, attempts < ATTEMPTS, error, queue, failures, listener)
            except ray.exceptions.RayTaskError as error:
                self._again(tile, attempts, False, error, queue, failures, listener)
        return failures

    def close(self) -> None:
        """End the actors, so that their CPUs are free."""
        while self._actors:
            ray.kill(self._actors.pop())

    def _again(
        self,
        tile: Tile,
        attempts: int,
        retry: bool,
        error: Exception,
        queue: deque[tuple[Tile, int]],
        failures: list[dict[str, Any]],
        listener: Listener,
    ) -> None:
        if len(tile.units) > 1:
            queue.extend((replace(tile, units=(unit,)), 0) for unit in tile.units)
        elif retry:
            queue.append((tile, attempts))
        else:
            failures.append(failure(tile.ids[0], tile.what, error, attempts))
            listener.failed(failures[-1])
            listener.advance(1)


def _has_room(actor: Any, attempts: int, flying: dict[Any, tuple[Tile, int, Any]]) -> bool:
    """A tile whose process died before is alone on its actor, so that it takes no other tile with it."""
    beside = [tried for _, tried, where in flying.values() if where == actor]
    if attempts or any(tried > 1 for tried in beside):
        return not beside
    return len(beside) < IN_FLIGHT
