"""What is logged of trials that have failed: of most of them, the tables have no row."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from raysweep.digest import digest
from raysweep.plan.desired import Desired
from raysweep.tables.rows import planned_trial
from raysweep.tables.schemas import schema
from raysweep.tracking.values import configured, label, parameters, trial_words

NOTE = 4000  # characters of an error that are logged: MLflow refuses tags of more than 5000


@dataclass(frozen=True)
class FailedTrial:
    """A trial that has failed; `ended` is in milliseconds, and `content` a digest of the failure."""

    trial_id: str
    group: str
    name: str
    parameters: dict[str, str]
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
    wanted = plan()
    planned = [planned_trial(wanted, trial_id) for trial_id in failed.index if trial_id in wanted.trials]
    leveled = [{**row, "level": int(wanted.trials[row["trial_id"]].prune is not None)} for row in planned]
    rows = pa.Table.from_pylist(leveled, schema("trials")).to_pandas()
    rows["configured"] = configured(rows, pd.concat([trials, rows]) if len(trials) else rows)
    for number in range(len(rows)):
        row, failure = rows.iloc[number], failed.loc[rows.trial_id.iloc[number]]
        yield FailedTrial(
            row.trial_id,
            row.group,
            label(row, *trial_words(row, trials)),
            parameters(rows.iloc[[number]]),
            failure.error[-NOTE:],
            int(failure.time * 1000),
            failure.content,
        )
