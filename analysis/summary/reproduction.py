"""Numbers of a sweep beside the paper's, or where it has another setting, what differs from the paper's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
import pandas as pd

from analysis import transitivity, width_scaling
from analysis.rows.members import independent
from analysis.rows.settings import by_setting, by_width, dense_ends
from analysis.rows.tables import Tables
from analysis.summary import paper
from analysis.trajectory import barriers as trajectory
from raysweep.vocabulary import Interpolation, Kind, Precision, Split


@dataclass(frozen=True)
class Beside:
    """A number of ours (share), its interval (NaN where there is none) and the number of the paper.

    With `at_most`, the paper gives an upper bound, not a value.
    """

    what: str
    width: int
    mean: float
    low: float
    high: float
    n: int
    paper: float
    at_most: bool = False

    @property
    def difference(self) -> float:
        """Ours minus the paper's."""
        return self.mean - self.paper

    @property
    def agrees(self) -> str:
        """Whether the paper's number lies within our interval, widened by the accuracy of reading a plot."""
        if isnan(self.low):
            return "no interval"
        below = self.low - paper.READING <= self.paper
        return "yes" if below and (self.at_most or self.paper <= self.high + paper.READING) else "no"


@dataclass(frozen=True)
class Reproduction:
    """Networks of a model of the paper, what differs from its setting, and (if nothing does) the numbers."""

    networks: str
    differ: tuple[str, ...]
    numbers: list[Beside]


def differences(
    trials: pd.DataFrame, barriers: pd.DataFrame, alignments: pd.DataFrame, model: str
) -> list[str]:
    """Return the keys in which trials, their barriers and the alignments behind these differ from the paper.

    The list is empty for the paper's setting.
    """
    used = alignments[alignments.alignment_id.isin([each for ids in barriers.alignments for each in ids])]
    pairs = barriers[barriers.interpolation == Interpolation.PAIR]
    parts = [("", trials, paper.setting(model)), ("compare.", pairs, paper.COMPARE)]
    parts += [(f"align.{name}.", used[used.method == name], own) for name, own in paper.ALIGN.items()]
    return [each for section, rows, wanted in parts for each in _differ(section, rows, wanted)]


def _differ(section: str, rows: pd.DataFrame, setting: Mapping[str, object]) -> Iterator[str]:
    for column, wanted in setting.items():
        have = {_plain(value) for value in rows[column]}
        if have - {_plain(wanted)}:
            yield f"{section}{column} is {' and '.join(sorted(have))}, the paper's {_plain(wanted)}"


def _plain(value: Any) -> str:
    """Return a cell as a text, the same for equal values whatever the type of a list, null or number."""
    if hasattr(value, "__len__") and not isinstance(value, str):
        return ", ".join(map(str, value)) or "none"
    if pd.isna(value):
        return "null"
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    return value if isinstance(value, str) else f"{float(value):g}"


def reproductions(tables: Tables) -> list[Reproduction]:
    """Compare the groups of the paper's models of which networks were compared.

    Groups with the same differences go together.
    """
    comparable = independent(tables.barriers, tables.trials)
    dense = tables.trials[(tables.trials.level == 0) & tables.trials.group.isin(comparable)]
    models = dense[dense.model.isin([paper.VGG, paper.RESNET])]
    found: dict[tuple[str, tuple[str, ...]], tuple[set[int], list[Beside]]] = {}
    for (model, dataset, group), trials in models.groupby(["model", "dataset", "group"]):
        rows = tables.barriers[tables.barriers.group == group]
        differ = tuple(differences(trials, rows, tables.alignments, str(model)))
        in_precision = {f" in {name}" for name in trials.precision if name == Precision.BFLOAT16}
        networks = f"{model} on {dataset}{''.join(in_precision)}"
        widths, numbers = found.setdefault((networks, differ), (set(), []))
        widths.add(int(trials.width.iloc[0]))
        if not differ:
            parts = (_by_width, _along_training, _around_cycles)
            numbers += [each for part in parts for each in part(rows, tables)]
    return [
        Reproduction(
            f"{networks}, width {', '.join(map(str, sorted(widths)))}",
            differ,
            sorted(numbers, key=lambda each: (each.what, each.width)),
        )
        for (networks, differ), (widths, numbers) in sorted(found.items(), key=lambda item: item[0])
    ]


def _by_width(rows: pd.DataFrame, tables: Tables) -> Iterator[Beside]:
    train = dense_ends(rows[rows.split == Split.TRAIN], tables.trials)
    for setting, same in by_setting(train, tables.trials):
        summary = width_scaling.summarise(same, tables.alignments)
        for row in summary[summary.risk == "error"].itertuples():
            known = paper.BARRIERS.get((setting.model, str(setting.method), str(row.kind)), {})
            width = int(str(row.width))
            if width in known:
                what = f"error barrier, {str(setting.method).replace('_', ' ')}, {row.kind}"
                yield Beside(what, **_numbers(row), width=width, paper=known[width])


def _along_training(rows: pd.DataFrame, tables: Tables) -> Iterator[Beside]:
    train = rows[rows.split == Split.TRAIN]
    for setting, same, along in trajectory.trajectories(train, tables.agreements, tables.trials):
        its = (setting.model, setting.width, setting.method)
        if its != (paper.TRAJECTORY_MODEL, paper.TRAJECTORY_WIDTH, paper.TRAJECTORY_METHOD):
            continue
        per_epoch = trajectory.steps_per_epoch(tables.trials[tables.trials.group.isin(same.group)])
        means = trajectory.by_epoch(same, per_epoch)
        direct = means[(means.risk == "error") & (means.series == Kind.DIRECT)]
        yield from _epochs(direct, trajectory.fixed_points(along, per_epoch), int(setting.width or 0))


def _around_cycles(rows: pd.DataFrame, tables: Tables) -> Iterator[Beside]:
    for setting, same in by_width(by_setting(rows, tables.trials)):
        if (setting.model, setting.method) != (paper.CYCLE_MODEL, paper.CYCLE_METHOD):
            continue
        own = tables.agreements
        own = own[(own.method == setting.method) & own.group.isin(same.group)]
        shares = transitivity.fixed_points_by_length(own)
        for row in shares[shares.series == "cycle"].itertuples():
            what = f"fixed points of cycles of {row.networks} networks"
            numbers = _numbers(row)
            yield Beside(what, **numbers, width=int(setting.width or 0), paper=paper.CYCLE_FIXED_POINTS)


def _epochs(direct: pd.DataFrame, shares: pd.DataFrame, width: int) -> Iterator[Beside]:
    last = direct[direct.epoch == direct.epoch.max()]
    for epoch, value in paper.EARLY.items():
        for row in last[last.found == epoch].itertuples():
            what = f"error barrier at the end under the permutation of epoch {epoch}"
            yield Beside(what, **_numbers(row), width=width, paper=value)
    under = direct[direct.found == direct.found.max()]
    worst = under.iloc[[under["mean"].fillna(np.inf).argmax()]]
    for row in worst.itertuples():
        what = f"largest error barrier under the last permutation (at epoch {row.epoch:g})"
        yield Beside(what, **_numbers(row), width=width, paper=paper.LAST_AT_MOST, at_most=True)
    for epoch, value in paper.FIXED_POINTS.items():
        for row in shares[shares.epoch == epoch].itertuples():
            what = f"fixed points of the permutation of epoch {epoch} with the last"
            yield Beside(what, **_numbers(row), width=width, paper=value)


def _numbers(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("mean", "low", "high", "n")}
