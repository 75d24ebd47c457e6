"""The number of jobs in a tile, derived from the times that earlier tiles took."""

import math
from collections.abc import Hashable

FIRST = 4  # jobs in a tile as long as no tile of its kind is finished
MOST = 500  # jobs in a tile at most, which bounds an object in the store and the loss when a worker dies
GROWTH, SHRINKAGE = 8, 2  # largest factors between tiles; one tile may be slow, as a worker's first one is
SHARES = 8  # the ready jobs are cut into at least this many tiles per worker, of which it holds two
QUICK = 40  # but no tile is made smaller by more than this factor, because each costs a call
SHARE = 0.5  # of the driver's time that serving all workers may take, as long as there is enough to do
LAST = 3  # tiles of each worker, with the two that it holds, which may be more than that


class TileSizing:
    """Learns how long the jobs of each kind take, and sizes tiles to take about the same time.

    A tile costs a call and an object in the store, so short jobs are grouped and long jobs run alone. Tiles
    become smaller when few jobs are left, so that no worker works long after the others. One driver serves
    all workers: a tile lasts until its worker's turn comes again, and for longer while there are many jobs.
    """

    def __init__(self, seconds: float) -> None:
        """Size tiles to take about `seconds`."""
        self._seconds = seconds
        self._sizes: dict[Hashable, int] = {}
        self._least: dict[Hashable, float] = {}  # seconds of a job in the quickest tile of each kind

    def size(self, kind: Hashable, ready: int, workers: int, lap: float = 0.0, at_once: int = 1) -> int:
        """Return the number of jobs in the next tile, at least 1.

        `ready` is the number of jobs that have their inputs, and `workers` the number of workers, which the
        driver takes `lap` seconds to serve once. A worker that carries out several jobs `at_once` gets as
        many, unless other workers would have none.
        """
        most = self._sizes.get(kind, FIRST)
        share = -(-ready // (SHARES * workers))
        one = -(-ready // workers)  # tile for each worker, and there are no jobs for more
        calm = min(self._lasting(kind, lap / SHARE), -(-ready // (LAST * workers)))
        least = max(calm, min(max(at_once, self._lasting(kind, lap)), one))
        return max(1, least, min(most, max(share, most // QUICK)))

    def record(self, kind: Hashable, jobs: int, seconds: float) -> None:
        """Record that a tile with this number of jobs took this many seconds."""
        before = self._sizes.get(kind, FIRST)
        fit = int(self._seconds * jobs / max(seconds, 1e-9))
        self._sizes[kind] = max(1, before // SHRINKAGE, min(fit, GROWTH * before, MOST))
        self._least[kind] = min(self._least.get(kind, math.inf), max(seconds, 1e-9) / jobs)

    def seconds(self, kind: Hashable) -> float:
        """Return how long a job of this kind takes; 0 as long as that is not known."""
        return self._least.get(kind, 0.0)

    def _lasting(self, kind: Hashable, seconds: float) -> int:
        """Return how many jobs keep a worker busy for so many seconds."""
        each = self.seconds(kind)
        return min(MOST, math.ceil(seconds / each)) if each else 1

    def tiles(self, ready: int) -> int:
        """Return the largest number of tiles that `ready` jobs can fill, whatever their kinds.

        An overestimate is preferred, because too few workers cost more than one that finds no work.
        """
        return -(-ready // min(self._sizes.values(), default=FIRST))
