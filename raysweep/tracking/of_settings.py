"""What is logged of each setting and method: one at a time, because the rows of all are many."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from raysweep.digest import digest
from raysweep.tables.frames import groups
from raysweep.tracking.known_runs import KnownRun
from raysweep.tracking.links import ORDER
from raysweep.tracking.values import (
    Value,
    barriers,
    content_of,
    label,
    measures,
    options,
    order,
    parameters,
    setting_words,
)

SHORTEST = 250  # characters of a parameter that any version of MLflow keeps
_KEYS = ["group", "method"]


@dataclass(frozen=True)
class OfSetting:
    """The run of a setting and method; `content` is a digest of its values.

    Its `parameters` have the options with which its networks were aligned and compared.
    """

    identity: str
    name: str
    tags: dict[str, str]
    parameters: dict[str, str]
    datasets: pd.Series
    values: list[Value]
    content: str

    @property
    def metrics(self) -> set[str]:
        return {name for name, *_ in self.values}

    def contradicts(self, run: KnownRun) -> bool:
        """Whether a run has other parameters, which MLflow cannot change."""
        there = {name: value for name, value in run.params.items() if name in self.parameters}
        return any(not _is_logged(value, self.parameters[name]) for name, value in there.items())

    def lacks(self, run: KnownRun) -> bool:
        """Whether a run has metrics that this one no longer has, and MLflow cannot delete."""
        return not run.metrics <= self.metrics

    def is_in(self, run: KnownRun) -> bool:
        """Whether all of this is logged."""
        return run.content == self.content and self.parameters.keys() <= run.params.keys()

    @property
    def put_aside(self) -> str:
        """The identity of a run with all of this and no more, while another is current."""
        return put_aside(self.identity, self.parameters, self.content, self.metrics)


def _placed(named: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Return the measures of barriers that are among some rows, `of` which they are, in place of their ids.

    One number for each takes less memory than a table with the columns of both.
    """
    of = np.full(len(measured), -1, np.int32)
    for split, places in named.groupby("split", observed=True).indices.items():
        some = np.flatnonzero(measured.split == split)
        ids, known = (
            pa.array(rows.barrier_id.iloc[at].to_numpy(), pa.string())
            for rows, at in ((measured, some), (named, places))
        )
        at = pc.index_in(ids, known).fill_null(-1).to_numpy()
        of[some] = np.where(at < 0, -1, places[at])
    return measured.drop(columns=["barrier_id", "split"]).assign(of=of)[of >= 0]


def _is_logged(there: str, value: str) -> bool:
    """Whether a parameter is there, of which a server may have cut the end."""
    return value == there or (len(there) >= SHORTEST and value.startswith(there))


def put_aside(identity: str, params: dict[str, str], content: str, metrics: set[str]) -> str:
    """Return an identity for a run of a setting while the tables have other rows of this setting."""
    return f"{identity} earlier {digest([params, content, sorted(metrics)])}"


def identity_of(group: str, method: str) -> str:
    """Return the identity of the run of a setting and method."""
    return f"group {group} {method}"


def of_settings(
    named: pd.DataFrame, measured: pd.DataFrame, trials: pd.DataFrame, ended: int
) -> Iterator[OfSetting]:
    """Yield the run of each setting and method.

    `named` are all rows of `barriers` with the columns `method`, which is not null, and `configured`;
    `measured` are those of `measures`, and `ended` the time of their values.
    """
    named = named.reset_index(drop=True)
    measured = _placed(named, measured)
    keys = named[_KEYS].iloc[measured.of]
    members_of: Any = measured.groupby([keys[name].array for name in _KEYS], observed=True).indices
    for key, rows in groups(named, _KEYS):
        setting, method = map(str, key)
        found = measured.iloc[members_of.get(key, [])]
        values = barriers(rows, ended) + measures(rows, found, ended)
        members = trials[trials.group == setting]
        # Networks of different settings share only the parameters in the rows of their comparison.
        shared = parameters(rows if members.empty else members)
        yield OfSetting(
            identity_of(setting, method),
            label(rows.iloc[0], *setting_words(method, rows, trials)),
            {"raysweep.group": setting, ORDER: order(rows.iloc[0], method)},
            shared | {"method": method} | options(rows),
            rows.dataset.drop_duplicates(),
            values,
            content_of(values),
        )
