"""A pool of actors that align and compare, with at most two tiles in flight per actor."""

import math
import pickle
import time
import traceback
from collections import Counter, deque
from collections.abc import Container, Iterator
from dataclasses import replace
from typing import Any

import ray

from raysweep.cluster.awaiting import ready, results
from raysweep.cluster.blame import Blame
from raysweep.cluster.capacity import Needs, fitting_nodes, living_ids, name_of, needs_of, slots
from raysweep.cluster.events import Listener
from raysweep.cluster.flights import Flight, Worker
from raysweep.cluster.growth import Growth
from raysweep.cluster.pace import Pace
from raysweep.cluster.pool_worker import AlignWorker
from raysweep.cluster.precedence import Precedence
from raysweep.cluster.suspects import Suspects, labels
from raysweep.cluster.tile_source import Landed, TileSource
from raysweep.sweep.schema import Sections
from raysweep.tables.failures import Failure
from raysweep.work.environment_faults import due_to_node
from raysweep.work.tile import Tile

IN_FLIGHT = 2
IDLE = 10.0  # seconds without work after which an actor is ended, so that an autoscaler can remove its node
GATHER = 5e-5  # seconds per actor in which a turn collects further results: fewer turns cost less
SPELL = 0.5  # seconds for which a turn sends tiles at most: meanwhile, nothing is received
LOOK = 1.0  # seconds between two looks at what takes its time: hung tiles, idle actors, new nodes
ATTEMPTS = 3  # at a job whose process dies or whose storage fails; other exceptions would recur


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
        self._workers: list[Worker] = []
        self._pace = Pace()
        self._again: deque[tuple[Tile, int]] = deque()
        self._flying: dict[Any, Flight] = {}
        self._starting: dict[Any, Worker] = {}
        self._growth, self._precedence = Growth(may_grow), Precedence()
        self._limit, self._looked, self._blame = 1, -math.inf, Blame()
        self._suspected: frozenset[str] = frozenset()  # the nodes that all work avoided at the last look
        self._avoided: frozenset[str] = frozenset()  # those of them that this work avoids
        self._yielded: frozenset[str] = frozenset()  # the nodes on which a trial that waits may start
        self._fitting: frozenset[str] | None = None  # those that were large enough for it at the last look

    @property
    def busy(self) -> bool:
        """Whether tiles are in flight or ready."""
        return bool(self._flying or self._again or self._source.tiles)

    def turn(self, timeout: float, waiting: Needs | None = None) -> None:
        """Send tiles to actors, wait at most `timeout` seconds until some are finished, and receive them.

        A turn costs more the more actors there are, but a tile does not, because one turn then receives and
        sends more of them.

        `waiting` are the resources that a trial waits for. Trials take precedence: while the trial would fit
        with what is free and what the pool holds, the pool starts no actors, and on nodes that are large
        enough for the trial it sends no new tile and ends idle actors. A trial whose resources are reserved
        waits only for its process to start, and holds up nothing.
        """
        if time.monotonic() - self._looked >= LOOK:
            self._look()
        if self._suspected is not self._suspects.avoided:
            self._avoid()
        self._yield_to(waiting)
        if not self._yielded:
            self._start()
        if self._send():
            timeout = 0
        gather = min(timeout, GATHER * len(self._workers))
        first = [reference for reference, flight in self._flying.items() if flight.is_first]
        self._receive(ready([*first, *self._starting], timeout, gather))

    def close(self) -> None:
        """End all actors, which frees their resources."""
        while self._workers:
            self._end(self._workers[-1])

    def _look(self) -> None:
        self._avoid()
        self._fitting = None
        self._end_overdue()
        self._release_idle()
        self._looked = time.monotonic()
        places = self._growth.places(self._source, slots(needs_of(self._needs)))
        self._limit = self._sections.resources.workers or max(1, places)
        self._end_surplus()

    def _avoid(self) -> None:
        """Note which nodes to avoid; actors that wait for room with other ones in mind are ended."""
        self._suspected, before = self._suspects.avoided, self._avoided
        self._avoided = self._suspects.avoided_by(needs_of(self._needs))
        if self._avoided != before:
            for worker in [each for each in self._workers if each.starting]:
                self._end(worker)

    def _yield_to(self, waiting: Needs | None) -> None:
        """Note the nodes that are yielded to a trial that waits, and end actors without tiles there."""
        self._yielded = frozenset()
        if waiting and self._blocks(waiting):
            if self._fitting is None:
                self._fitting = fitting_nodes(waiting)
            self._yielded = self._fitting - self._suspects.avoided
            for worker in [each for each in self._workers if not each.flights]:
                if worker.starting or worker.node in self._yielded:
                    self._end(worker)

    def _blocks(self, waiting: Needs) -> bool:
        """Whether a trial waits for what the pool holds."""
        needs = needs_of(self._needs)
        held = ((each.node, needs) for each in self._workers if not each.starting)
        return self._precedence.waits(waiting, held, self._suspects.avoided)

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

    def _new(self) -> Worker:
        options: dict[str, Any] = {"num_cpus": self._needs.cpu, "num_gpus": self._needs.gpu}
        if self._avoided:
            options["label_selector"] = labels(self._avoided)
        actor: Any = AlignWorker.options(**options).remote(self._root, self._sections)  # type: ignore[attr-defined]
        return Worker(actor, actor.node.remote())

    def _send(self) -> bool:
        """Send tiles for `SPELL` seconds at most, and return whether there may be more to send."""
        used = {worker.setting for worker in self._workers}
        began, sent, over = time.monotonic(), 0, False
        for worker in self._with_room():
            if over := time.monotonic() - began > SPELL:
                break
            found = self._next(worker, used)
            if not found:
                break
            self._send_to(worker, *found)
            used.add(worker.setting)
            sent += 1
        self._pace.took(time.monotonic() - began, sent)
        return over

    def _with_room(self) -> Iterator[Worker]:
        """Yield the workers that have room: those without a tile, then those with one, and so on."""
        for flights in range(IN_FLIGHT):
            for worker in self._workers:
                if len(worker.flights) == flights and self._has_room(worker):
                    yield worker

    def _send_to(self, worker: Worker, tile: Tile, attempts: int) -> None:
        since = None if worker.flights else time.monotonic()
        worker.setting, worker.idle = tile.jobs[0].setting, None
        flight = Flight(tile, attempts + 1, worker, since)
        worker.flights.append(flight)
        self._flying[worker.actor.run_pickled.remote(pickle.dumps(tile))] = flight

    def _has_room(self, worker: Worker) -> bool:
        """Whether a worker may be sent the next tile.

        A tile whose process has died before is run alone on its actor, because it may kill this one too.
        """
        flights = worker.flights
        held_back = worker.node in self._avoided or worker.node in self._yielded
        if worker.starting or held_back or len(flights) >= IN_FLIGHT:
            return False
        alone = bool(self._again and self._again[0][1]) or any(each.attempts > 1 for each in flights)
        return not (alone and flights)

    def _next(self, worker: Worker, used: Container[str | None]) -> tuple[Tile, int] | None:
        """Return a tile and its earlier attempts, or None when none is ready."""
        if self._again:
            return self._again.popleft()
        workers = len(self._workers)
        tile = self._source.take(workers, self._pace.lap(workers), worker.setting, used)
        return (tile, 0) if tile else None

    def _receive(self, references: list[Any]) -> None:
        """Receive what is ready: results of tiles, errors, and the nodes of actors that have started."""
        began = time.monotonic()
        arrived = [self._arrived(*each) for each in results(references)]
        landed = [each for each in arrived if each]
        if not landed:
            return
        self._source.landed(landed)
        jobs: Counter[str] = Counter()
        for each in landed:
            jobs[each.tile.stage] += len(each.tile.jobs)
        for stage, count in jobs.items():
            self._listener.advance(stage, count)
        self._pace.took(time.monotonic() - began, len(landed))

    def _arrived(self, reference: Any, result: Any) -> Landed | None:
        if reference in self._flying:
            return self._land(self._flying.pop(reference), result)
        if worker := self._starting.pop(reference, None):
            worker.starting = None
            if not isinstance(result, ray.exceptions.RayError):  # which its first tile will report
                worker.node = result
        return None

    def _land(self, flight: Flight, result: Any) -> Landed | None:
        """Return a tile that is finished; one that has failed is tried again, or recorded as a failure."""
        flight.worker.ended(flight)
        if isinstance(result, ray.exceptions.RayTaskError):
            node, cause = flight.worker.node, result.cause
            if due_to_node(cause) and self._goes_elsewhere(flight.tile, node, cause):
                self._again.append((flight.tile, flight.attempts))
            else:
                self._failed(flight, isinstance(cause, OSError), result)
            return None
        if isinstance(result, ray.exceptions.RayError):
            # The actor died, was killed for memory, or fits nowhere.
            self._drop_lost(flight.worker)
            hung = TimeoutError(f"took longer than resources.unit_seconds = {self._seconds:g}")
            if self._blame.is_innocent(flight):
                self._again.append((flight.tile, flight.attempts - 1))
            else:
                self._failed(flight, True, hung if flight.hangs else result)
            return None
        return Landed(flight.tile, *result)

    def _goes_elsewhere(self, tile: Tile, node: str, error: BaseException) -> bool:
        text = "".join(traceback.format_exception_only(error))
        return bool(node) and self._suspects.elsewhere(tile.ids[0], node, needs_of(self._needs), text)

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
            if worker.node in self._avoided and not worker.flights:
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

    def _end(self, worker: Worker) -> None:
        self._workers.remove(worker)
        ray.kill(worker.actor)

    def _drop_lost(self, worker: Worker) -> None:
        """Remove a dead actor and, if its node is lost, the actors without work on this node.

        The latter would otherwise each fail an attempt at a job.
        """
        alive = living_ids()
        for each in list(self._workers):
            lost = each.node == worker.node and each.node and each.node not in alive and not each.flights
            if each is worker or lost:
                self._end(each)

    def _failed(self, flight: Flight, retry: bool, error: Exception) -> None:
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
