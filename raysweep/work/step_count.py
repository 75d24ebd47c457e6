"""How many training steps a process takes, for those who watch a run."""

import time

EVERY = 5.0  # seconds between two notices


class StepCount:
    """Adds up the steps of the trials of a process from what they report, and tells of them now and then."""

    def __init__(self) -> None:
        self._at: dict[str, tuple[int, int]] = {}  # the level and the step of each trial
        self._new, self._told = 0, time.monotonic()

    def report(self, trial_id: str, level: int, step: int) -> None:
        """Note where a trial is; what it did before its first report is not counted."""
        before = self._at.get(trial_id, (level, step))
        self._new += step - before[1] if before[0] == level else 0
        self._at[trial_id] = level, step

    def taken(self) -> int:
        """Return the steps since the last notice; 0 where that was less than `EVERY` seconds ago."""
        if time.monotonic() - self._told < EVERY:
            return 0
        steps, self._new, self._told = self._new, 0, time.monotonic()
        return steps
