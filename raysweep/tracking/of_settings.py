"""What is logged of each setting and method: one at a time, because the rows of all are many."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from raysweep.tables.frames import groups
from raysweep.tracking.links import ORDER
from raysweep.tracking.values import (
    Value,
    barriers,
    content_of,
    label,
    measures,
    order,
    parameters,
    setting_words,
)

_KEYS = ["group", "method"]


@dataclass(frozen=True)
class OfSetting:
    """The run of a setting and method; `content` is a digest of its values."""

    identity: str
    name: str
    tags: dict[str, str]
    parameters: dict[str, str]
    datasets: pd.Series
    values: list[Value]
    content: str


def of_settings(
    named: pd.DataFrame, measured: pd.DataFrame, trials: pd.DataFrame, ended: int
) -> Iterator[OfSetting]:
    """Yield the run of each setting and method.

    `named` are all rows of `barriers` with the columns `method`, which is not null, and `configured`;
    `measured` are those of `measures`, and `ended` the time of their values.
    """
    with_keys = measured.merge(named[["barrier_id", "split", *_KEYS]], on=["barrier_id", "split"])
    found = dict(list(with_keys.drop(columns=_KEYS).groupby([with_keys[key] for key in _KEYS])))
    for key, rows in groups(named, _KEYS):
        setting, method = map(str, key)
        values = barriers(rows, ended)
        if key in found:
            values += measures(rows, found[key], ended)
        members = trials[trials.group == setting]
        # Networks of different settings share only the parameters in the rows of their comparison.
        shared = parameters(rows if members.empty else members)
        yield OfSetting(
            f"group {setting} {method}",
            label(rows.iloc[0], *setting_words(method, rows, trials)),
            {"raysweep.group": setting, ORDER: order(rows.iloc[0], method)},
            shared | {"method": method},
            rows.dataset.drop_duplicates(),
            values,
            content_of(values),
        )
