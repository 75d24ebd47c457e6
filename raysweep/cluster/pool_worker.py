"""The actors of the pool."""

import pickle
from collections.abc import Callable
from functools import partial

import ray

from raysweep.sweep.schema import Sections
from raysweep.work.tile import TileWorker


class PoolWorker(TileWorker):
    """A `TileWorker` in a process of its own.

    It begins at the first tile: whatever is wrong with its node, the failure of a tile tells.
    """

    def __init__(self, root: str, sections: Sections) -> None:
        self._begin: Callable[[], None] | None = partial(super().__init__, root, sections)

    def node(self) -> str:
        """Return the id of the node on which the process runs."""
        return str(ray.get_runtime_context().get_node_id())

    def run_pickled(self, tile: bytes) -> tuple[str, float]:
        """Run a tile that the driver has pickled, because Ray's own pickler takes three times as long."""
        if self._begin:
            self._begin()
            self._begin = None
        return self.run(pickle.loads(tile))


@ray.remote
class AlignWorker(PoolWorker):
    """Ray shows the processes under this name."""
