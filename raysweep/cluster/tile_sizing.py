"""How many jobs go into a tile, from how long the tiles before it took."""

from collections.abc import Hashable

FIRST = 4  # jobs of a tile of a kind of which no tile has landed
MOST = 500  # jobs of a tile: rows of an object in the store, and what is lost with a worker
GROWTH, SHRINKAGE = 8, 2  # from a tile to the next at most: any may be exceptional, a worker's first is
SHARES = 8  # tiles for each worker into which what is ready is cut at least: it holds two
QUICK = 40  # but none needs to be quicker than by this factor, for then its call costs more than it gains


class TileSizing:
    """Learns how long the jobs of each kind take, so that a tile takes about so many seconds.

    A tile costs a call and an object in the store, so short jobs go together; long jobs go alone, and all
    tiles become smaller in the end, so that no worker is left with a long tail.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._sizes: dict[Hashable, int] = {}

    def size(self, kind: Hashable, ready: int, workers: int) -> int:
        """How many jobs make a tile, of so many that are ready for so many workers; at least one."""
        most = self._sizes.get(kind, FIRST)
        share = -(-ready // (SHARES * workers))
        return max(1, min(most, max(share, most // QUICK)))

    def record(self, kind: Hashable, jobs: int, seconds: float) -> None:
        """A tile of so many jobs took so long."""
        before = self._sizes.get(kind, FIRST)
        fit = int(self._seconds * jobs / max(seconds, 1e-9))
        self._sizes[kind] = max(1, before // SHRINKAGE, min(fit, GROWTH * before, MOST))

    def tiles(self, ready: int) -> int:
        """How many tiles so many jobs make at most, by what is known of all kinds: too few workers cost
        more than one that finds nothing to do."""
        return -(-ready // min(self._sizes.values(), default=FIRST))
