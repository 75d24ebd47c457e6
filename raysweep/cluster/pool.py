"""A pool of actors that align and compare, with at most two tiles in flight per actor."""

import contextlib
import math
import pickle
import time
import traceback
from collections import deque
from collections.abc import Container
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import ray

from raysweep.cluster.capacity import living_ids, name_of, needs_of, placements_pending, room_for, slots
from raysweep.cluster.events import Listener
from raysweep.cluster.growth import more_workers
from raysweep.cluster.suspects import Suspects, labels
from raysweep.cluster.tile_sizing import FIRST
from raysweep.sweep.schema import Sections
from raysweep.tables.failures import Failure
from raysweep.version import code_digest
from raysweep.work.environment_faults import due_to_node
from raysweep.work.tile import Tile, TileWorker

IN_FLIGHT = 2
IDLE = 10.0  # seconds without work after which an actor is ended, so that an autoscaler can remove its node
HOLD = 15.0  # seconds for which a backlog must deserve more workers: the first tiles load data
GATHER = 5e-5  # seconds per actor in which a turn collects further results: fewer turns cost less
LOOK = 1.0  # seconds between two looks at what takes its time: hung tiles, idle actors, new nodes
ASKING = 0.1  # share of the time in which the pool may ask whether a trial waits for it
ATTEMPTS = 3  # at a job whose process dies or whose storage fails; other exceptions would recur


class PoolWorker(TileWorker):
    """A `TileWorker` in a process of its own."""

    def node(self) -> str:
        """Return the id of the node on which the process runs."""
        return str(ray.get_runtime_context().get_node_id())

    def run_pickled(self, tile: bytes) -> tuple[str, float]:
        """Run a tile that the driver has pickled, because Ray's own pickler takes three times as long."""
        return self.run(pickle.loads(tile))


@ray.remote
class AlignWorker(PoolWorker):
    """Ray shows the processes under this name."""


class TileSource(Protocol):
    """Provides tiles, and receives the names of the objects with their results."""

    @property
    def tiles(self) -> int:
        """An estimate of how many tiles are ready for a worker, which is 0 only if there are none."""
        ...

    @property
    def ready(self) -> int:
        """How many jobs are ready for a worker."""
        ...

    @property
    def seconds(self) -> float:
        """An estimate of how long the ready jobs would take one worker, without those of unknown duration."""
        ...

    def take(self, workers: int, before: str | None, used: Container[str | None]) -> Tile | None:
        """Return a tile for a worker, or None when none is ready.

        `workers` is the number of workers, `before` the setting of this worker's last tile, and `used` holds
        the settings of all workers' last tiles.
        """
        ...

    def landed(self, tile: Tile, name: str, seconds: float) -> None:
        """Receive the name of the object with a tile's results, and the seconds that the tile took."""
        ...


@dataclass(eq=False)
class _Worker:
    """An actor; `starting` resolves to its node once it runs, and `idle` is when it ran out of work."""

    actor: Any
    starting: Any
    node: str = ""
    setting: str | None = None
    idle: float | None = None
    flights: "list[_Flight]" = field(default_factory=list)


@dataclass(eq=False)
class _Flight:
    """A tile that was sent to a worker; `since` is when the worker started it, None while it is queued."""

    tile: Tile
    attempts: int
    worker: _Worker
    since: float | None
    hangs: bool = False

    def overdue(self, limit: float) -> bool:
        """Whether it takes longer than `limit` seconds per job."""
        jobs = min(len(self.tile.jobs), FIRST)  # a larger tile consists of jobs that are known to be short
        return self.since is not None and time.monotonic() > self.since + limit * jobs


class Pool:
    """Actors with the resources of the sweep file, which receive tiles from a source at each `turn`.

    Actors are started on demand; where the cluster `may_grow`, more than fit if the backlog deserves them, so
    that an autoscaler adds nodes. A job that raises, hangs or kills its process is tried a bounded number of
    times and then recorded in `failures`. A tile that fails is halved until the failing job is alone.
    """

    def __init__(
        self,
        root: str,
        sections: Sections,
        source: TileSource,
        listener: Listener,
        suspects: Suspects,
        may_grow: bool = False,
    ) -> None:
        self.failures: list[Failure] = []
        self._root, self._sections, self._source, self._listener = root, sections, source, listener
        self._needs, self._suspects = sections.resources.align, suspects
        self._seconds = sections.resources.unit_seconds
        self._workers: list[_Worker] = []
        self._again: deque[tuple[Tile, int]] = deque()
        self._flying: dict[Any, _Flight] = {}
        self._starting: dict[Any, _Worker] = {}
        self._may_grow, self._deserves_since = may_grow, math.inf
        self._limit, self._looked = 1, -math.inf
        self._blocked, self._asks_again = False, -math.inf

    @property
    def busy(self) -> bool:
        """Whether tiles are in flight or ready."""
        return bool(self._flying or self._again or self._source.tiles)

    def turn(self, timeout: float, waiting: dict[str, float] | None = None) -> None:
        """Send tiles to actors, wait at most `timeout` seconds until some are finished, and receive them.

        A turn costs more the more actors there are, but a tile does not, because one turn then receives and
        sends more of them.

        `waiting` are the resources that a trial waits for. Trials take precedence: while the trial would fit
        with what is free and what the pool holds, the pool sends no new tile and ends idle actors. A trial
        whose resources are reserved waits only for its process to start, and holds up nothing.
        """
        if time.monotonic() - self._looked >= LOOK:
            self._look()
        if waiting and self._blocks(waiting):
            for worker in [each for each in self._workers if not each.flights]:
                self._end(worker)
        else:
            self._start()
            self._send()
        gather = min(timeout, GATHER * len(self._workers))
        for reference in _ready([*self._flying, *self._starting], timeout, gather):
            self._arrived(reference)

    def close(self) -> None:
        """End all actors, which frees their resources."""
        while self._workers:
            self._end(self._workers[-1])

    def _look(self) -> None:
        self._end_overdue()
        self._release_idle()
        self._looked = time.monotonic()
        self._limit = max(1, self._sections.resources.workers or self._places())
        self._end_surplus()

    def _blocks(self, waiting: dict[str, float]) -> bool:
        """Whether a trial waits for what the pool holds; asked for at most `ASKING` of the time.

        Ray lists all placement groups that a run of Tune has ever had, so the answer takes longer and longer.
        """
        began = time.monotonic()
        if began >= self._asks_again:
            needs = needs_of(self._needs)
            held = ((each.node, needs) for each in self._workers if not each.starting)
            self._blocked = placements_pending() and room_for(waiting, held)
            ended = time.monotonic()
            self._asks_again = ended + (ended - began) / ASKING
        return self._blocked

    def _places(self) -> int:
        """Return how many actors fit, and how many more the backlog has deserved for `HOLD` seconds."""
        fitting = slots(needs_of(self._needs))
        more = more_workers(self._source.seconds, self._source.ready, fitting) if self._may_grow else 0
        self._deserves_since = min(self._deserves_since, self._looked) if more else math.inf
        return fitting + more if self._looked - self._deserves_since >= HOLD else fitting

    def _start(self) -> None:
        """Start actors for the tiles that are ready."""
        tiles = len(self._again) + self._source.tiles
        busy = sum(bool(worker.flights) for worker in self._workers)
        if len(self._workers) >= busy + tiles:
            return
        while len(self._workers) < min(self._limit, busy + tiles):
            worker = self._new()
            self._workers.append(worker)
            self._starting[worker.starting] = worker

    def _new(self) -> _Worker:
        options: dict[str, Any] = {"num_cpus": self._needs.cpu, "num_gpus": self._needs.gpu}
        if self._suspects.avoided:
            options["label_selector"] = labels(self._suspects.avoided)
        actor: Any = AlignWorker.options(**options).remote(  # type: ignore[attr-defined]
            self._root, self._sections, code_digest()
        )
        return _Worker(actor, actor.node.remote())

    def _send(self) -> None:
        """Send tiles to the workers that have room, as long as there are any, and first to those without."""
        used = {worker.setting for worker in self._workers}
        for flights in range(IN_FLIGHT):
            for worker in self._workers:
                if len(worker.flights) == flights and self._has_room(worker):
                    found = self._next(worker, used)
                    if not found:
                        return
                    self._send_to(worker, *found)
                    used.add(worker.setting)

    def _send_to(self, worker: _Worker, tile: Tile, attempts: int) -> None:
        since = None if worker.flights else time.monotonic()
        worker.setting, worker.idle = tile.jobs[0].setting, None
        flight = _Flight(tile, attempts + 1, worker, since)
        worker.flights.append(flight)
        self._flying[worker.actor.run_pickled.remote(pickle.dumps(tile))] = flight

    def _has_room(self, worker: _Worker) -> bool:
        """Whether a worker may be sent the next tile.

        A tile whose process has died before is run alone on its actor, because it may kill this one too.
        """
        flights = worker.flights
        if worker.starting or len(flights) >= IN_FLIGHT or worker.node in self._suspects.avoided:
            return False
        alone = bool(self._again and self._again[0][1]) or any(each.attempts > 1 for each in flights)
        return not (alone and flights)

    def _next(self, worker: _Worker, used: Container[str | None]) -> tuple[Tile, int] | None:
        """Return a tile and its earlier attempts, or None when none is ready."""
        if self._again:
            return self._again.popleft()
        tile = self._source.take(len(self._workers), worker.setting, used)
        return (tile, 0) if tile else None

    def _arrived(self, reference: Any) -> None:
        if reference in self._flying:
            self._land(self._flying.pop(reference), reference)
        elif worker := self._starting.pop(reference, None):
            worker.starting = None
            with contextlib.suppress(ray.exceptions.RayError):  # its first tile will report the error
                worker.node = ray.get(reference)

    def _land(self, flight: _Flight, reference: Any) -> None:
        flight.worker.flights.remove(flight)
        for following in flight.worker.flights[:1]:
            following.since = time.monotonic()
        try:
            name, seconds = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            node = flight.worker.node
            if due_to_node(error.cause) and self._goes_elsewhere(flight.tile, node, str(error.cause)):
                self._again.append((flight.tile, flight.attempts))
            else:
                self._failed(flight, isinstance(error.cause, OSError), error)
        except ray.exceptions.RayError as error:  # the actor died, was killed for memory, or fits nowhere
            self._drop_lost(flight.worker)
            hung = TimeoutError(f"took longer than resources.unit_seconds = {self._seconds:g}")
            self._failed(flight, True, hung if flight.hangs else error)
        else:
            self._source.landed(flight.tile, name, seconds)
            self._listener.advance(flight.tile.stage, len(flight.tile.jobs))

    def _goes_elsewhere(self, tile: Tile, node: str, error: str) -> bool:
        return bool(node) and self._suspects.elsewhere(tile.ids[0], node, needs_of(self._needs), error)

    def _end_overdue(self) -> None:
        """Kill the actors of tiles that take too long, so that these tiles fail."""
        for flight in self._flying.values():
            if not flight.hangs and flight.overdue(self._seconds):
                flight.hangs = True
                ray.kill(flight.worker.actor)

    def _release_idle(self) -> None:
        """End actors that have had no work for `IDLE` seconds."""
        now, more = time.monotonic(), bool(self._again or self._source.tiles)
        for worker in list(self._workers):
            if worker.node in self._suspects.avoided and not worker.flights:
                self._end(worker)
                continue
            if more or worker.flights:
                worker.idle = None
                continue
            worker.idle = worker.idle or now
            if now - worker.idle > IDLE:
                self._end(worker)

    def _end_surplus(self) -> None:
        """End those of too many actors that still wait for room, because the backlog has shrunk."""
        waiting = [worker for worker in self._workers if worker.starting]
        surplus = min(len(waiting), len(self._workers) - self._limit)
        for _ in range(surplus):
            self._end(waiting.pop())

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        ray.kill(worker.actor)

    def _drop_lost(self, worker: _Worker) -> None:
        """Remove a dead actor and, if its node is lost, the actors without work on this node.

        The latter would otherwise each fail an attempt at a job.
        """
        alive = living_ids()
        for each in list(self._workers):
            lost = each.node == worker.node and each.node and each.node not in alive and not each.flights
            if each is worker or lost:
                self._end(each)

    def _failed(self, flight: _Flight, retry: bool, error: Exception) -> None:
        tile = flight.tile
        if half := len(tile.jobs) // 2:
            parts = tile.jobs[:half], tile.jobs[half:]
            self._again.extend((replace(tile, jobs=jobs), 0) for jobs in parts)
        elif retry and flight.attempts < ATTEMPTS:
            self._again.append((tile, flight.attempts))
        else:
            text = "".join(traceback.format_exception(error))
            node = name_of(flight.worker.node)
            self.failures.append(Failure(tile.ids[0], tile.what, text, flight.attempts, node))
            self._listener.failed(self.failures[-1])
            self._listener.advance(tile.stage, 1)


def _ready(awaited: list[Any], timeout: float, gather: float) -> list[Any]:
    """Wait at most `timeout` seconds for a result; return it and all that arrive within `gather` seconds."""
    if not awaited:
        return []
    first, others = ray.wait(awaited, num_returns=1, timeout=timeout)
    if not first or not others:
        return first
    return first + ray.wait(others, num_returns=len(others), timeout=gather)[0]
