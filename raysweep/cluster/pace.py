"""How much of the driver's time a tile takes: one process serves all workers."""

BEFORE = 1e-3  # seconds that a tile is taken to cost as long as few have been measured
FEW = 100  # tiles
MEMORY = 2000  # tiles after which earlier ones count half


class Pace:
    """Measures what it takes to send a tile and to receive its result."""

    def __init__(self) -> None:
        self._seconds, self._tiles = BEFORE * FEW, float(FEW)

    def took(self, seconds: float, tiles: int) -> None:
        """So many tiles were either sent or received in so many seconds."""
        self._seconds += seconds
        self._tiles += tiles / 2
        if self._tiles > MEMORY:
            self._seconds, self._tiles = self._seconds / 2, self._tiles / 2

    def lap(self, workers: int) -> float:
        """Return the seconds in which the driver sends every worker a tile and receives its result."""
        return workers * self._seconds / self._tiles
