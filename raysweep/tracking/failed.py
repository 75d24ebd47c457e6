"""What is logged of trials that have failed: of most of them, the tables have no row."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from raysweep.digest import digest
from raysweep.plan.desired import Desired
from raysweep.tracking.planned import PlannedTrial, planned_trials

LONGEST = 4000  # characters of an error that are logged: MLflow refuses tags of more than 5000


@dataclass(frozen=True)
class FailedTrial:
    """A trial that has failed; `ended` is in milliseconds, and `content` a digest of the failure."""

    planned: PlannedTrial
    error: str
    ended: int
    content: str


def failed_trials(
    failures: pd.DataFrame, trials: pd.DataFrame, logged: Collection[str], plan: Callable[[], Desired]
) -> Iterator[FailedTrial]:
    """Yield the trials that were started and failed; `failures` and `trials` are these tables.

    Those whose content is `logged` are left out, and what is planned is asked for only where one is not.
    """
    failed = failures[(failures.what == "trial") & (failures.attempts > 0)]
    told = zip(failed.id, failed.error, failed.time, strict=True)
    failed = failed.assign(content=[digest(list(each)) for each in told]).set_index("id")
    failed = failed[~failed.content.isin(logged)]
    if failed.empty:
        return
    for planned in planned_trials(plan(), list(failed.index), trials):
        failure: Any = failed.loc[planned.trial_id]
        yield FailedTrial(planned, failure.error[-LONGEST:], int(failure.time * 1000), failure.content)
