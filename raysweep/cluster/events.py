"""The events of a run, for whatever shows its progress."""

from typing import Protocol

from raysweep.tables.failures import Failure


class Listener(Protocol):
    """Receives the events of a run."""

    def stage(self, name: str, total: int) -> None:
        """A stage of `total` jobs begins."""

    def waits(self, reason: str) -> None:
        """The run waits for resources."""

    def advance(self, stage: str, jobs: int) -> None:
        """This number of jobs of a stage has ended, whether finished or failed."""

    def stepped(self, steps: int) -> None:
        """This number of training steps was taken since the last such event."""

    def evaluated(self, trial_id: str, curve: str) -> None:
        """A trial in training has these rows of `metrics`, as JSON; an empty text once it has ended."""

    def uses(self, resources: dict[str, tuple[float, float]]) -> None:
        """So much of each kind of resource (`CPU`, `GPU`) is in use, and so much is there."""

    def failed(self, failure: Failure) -> None:
        """A trial or a job has failed."""
