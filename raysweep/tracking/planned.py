"""What is logged of trials of which the tables have no row, because they are being trained or have failed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from raysweep.plan.desired import Desired
from raysweep.tables.rows import planned_trial
from raysweep.tables.schemas import schema
from raysweep.tracking.values import configured, label, parameters_of, trial_words


@dataclass(frozen=True)
class PlannedTrial:
    """What the plan says of a trial; the parameters lack what is known only once a level has ended."""

    trial_id: str
    group: str
    name: str
    parameters: dict[str, str]
    dataset: str


def planned_trials(wanted: Desired, trial_ids: Sequence[str], trials: pd.DataFrame) -> Iterator[PlannedTrial]:
    """Yield what the plan says of those of these trials that it has; `trials` is the table."""
    planned = [planned_trial(wanted, trial_id) for trial_id in trial_ids if trial_id in wanted.trials]
    if not planned:
        return
    leveled = [{**row, "level": int(wanted.trials[row["trial_id"]].prune is not None)} for row in planned]
    rows = pa.Table.from_pylist(leveled, schema("trials")).to_pandas()
    rows["configured"] = configured(rows, pd.concat([trials, rows]) if len(trials) else rows)
    for number in range(len(rows)):
        row = rows.iloc[number]
        name = label(row, *trial_words(row, trials))
        yield PlannedTrial(row.trial_id, row.group, name, parameters_of(row), row.dataset)
