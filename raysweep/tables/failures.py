"""Rows of the table `failures`: work that could not be done."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Failure:
    """Work that could not be done.

    `attempts` is how often it was started, which is 0 for work whose inputs failed, and `node` names where
    the last attempt failed, which is empty for such work.
    """

    id: str
    what: str
    error: str
    attempts: int
    node: str
    time: float = field(default_factory=time.time)


def counted(failures: Sequence[Failure]) -> str:
    """Return in words how much has failed, and how much could not be started because of that."""
    blocked = sum(not failure.attempts for failure in failures)
    failed = f"{len(failures) - blocked:,} failures"
    return f"{failed}, for which {blocked:,} other jobs could not be started" if blocked else failed
