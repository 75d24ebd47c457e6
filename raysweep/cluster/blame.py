"""Whether a tile is to blame for the end of the process that ran it."""

from collections import Counter

from raysweep.cluster.capacity import living_ids
from raysweep.cluster.flights import Flight

LOST = 10  # nodes that may be lost under a tile without its being blamed
UNSTARTED = 20  # processes that may die before they have started, without a tile being blamed


class Blame:
    """Counts how often nodes were lost under tiles, and how many processes died before they had started."""

    def __init__(self) -> None:
        self._lost: Counter[str] = Counter()  # by the first job of a tile
        self._unstarted = 0

    def is_innocent(self, flight: Flight) -> bool:
        """Whether the tile did not end its process: the node was lost, or the process has never run."""
        node = flight.worker.node
        if node:
            if flight.hangs or node in living_ids():
                return False
            self._lost[flight.tile.ids[0]] += 1  # perhaps because of the tile: so this has an end
            return self._lost[flight.tile.ids[0]] <= LOST
        self._unstarted += 1  # perhaps on a node that lacks raysweep
        return self._unstarted <= UNSTARTED
