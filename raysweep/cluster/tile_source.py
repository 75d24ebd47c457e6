"""Where the pool's tiles come from, and where it reports what has become of them."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Protocol

from raysweep.work.tile import Tile


@dataclass(frozen=True)
class Landed:
    """A tile that is finished, the name of the object with its results, and the seconds that it took."""

    tile: Tile
    name: str
    seconds: float


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

    def take(self, workers: int, lap: float, before: str | None, used: Container[str | None]) -> Tile | None:
        """Return a tile for a worker, or None when none is ready.

        `workers` is the number of workers, and `lap` the seconds that the driver needs to serve each of them
        once. `before` is the setting of this worker's last tile, and `used` holds those of all workers' last
        tiles.
        """
        ...

    def landed(self, tiles: Sequence[Landed]) -> None:
        """Receive the tiles that have finished since the last call."""
        ...
