"""Methods of alignment whose process ends again and again."""

from raysweep.alignment.progress import Progress


class Ended(Exception):
    """The process was killed."""


class Noted(Progress):
    """Keeps what its method notes, on the way to the end or to a kill before the note after so many."""

    def __init__(self, found=None, left=-1):
        super().__init__(found)
        self._left, self.noted = left, found

    def note(self, compute):
        if not self._left:
            raise Ended
        self._left, self.noted = self._left - 1, {name: each.clone() for name, each in compute().items()}


def killed_often(method, most=10):
    """Return what a method returns, what it noted last, and how often its process ended after one note."""
    kills, found = 0, {}
    while True:
        progress = Noted(found, 1 if kills < most else -1)
        try:
            return method(progress=progress), progress.noted, kills
        except Ended:
            kills, found = kills + 1, progress.noted
