"""The evaluations of trials that are still being trained, for those who watch them."""

import time

from raysweep.store.records import LevelRecord


class Curves:
    """Keeps the latest record of each trial of a process, and hands it out at most every so many seconds.

    Each record has all evaluations of its level so far, so that one that is lost is made good by the next.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._since: dict[str, float] = {}  # when a trial began, or when its record was last handed out
        self._new: dict[str, tuple[int, LevelRecord]] = {}

    def note(self, trial_id: str, level: int, record: LevelRecord) -> None:
        """Keep the record of a level after another evaluation."""
        self._since.setdefault(trial_id, time.monotonic())
        self._new[trial_id] = level, record

    def due(self, trial_id: str) -> tuple[int, LevelRecord] | None:
        """Return the level and the record of a trial, or None before it is time, or without anything new."""
        if trial_id not in self._new or time.monotonic() - self._since[trial_id] < self._every:
            return None
        self._since[trial_id] = time.monotonic()
        return self._new.pop(trial_id)

    def drop(self, trial_id: str) -> None:
        """Forget what has not been handed out, because the level is stored."""
        self._new.pop(trial_id, None)
