"""Barriers of pairs along training, by the epoch at which the permutation was found and applied."""

from collections.abc import Iterator

import pandas as pd

from analysis.rows.members import members_of
from analysis.rows.settings import Setting, by_setting, by_width, one_statistics
from analysis.statistics.deciding import decide
from analysis.statistics.jackknife import interval
from analysis.statistics.relative import named_ends, share
from analysis.statistics.simultaneous import Decision, decide_together, first_middle_last
from analysis.statistics.spread import UNITS, spread
from raysweep.vocabulary import Interpolation, Kind


def by_epoch(barriers: pd.DataFrame, per_epoch: float) -> pd.DataFrame:
    """Return the spread of barriers by series, epoch of the permutation, epoch of the networks and risk.

    `per_epoch` is the number of steps of an epoch. The series are `unaligned`, `direct` and `stacked n`. Two
    ratios have intervals of their own: `share` is the mean barrier divided by the unaligned one, and `times`
    is it divided by that under the last permutation at the last epoch (NaN where the divisor is not
    positive).
    """
    return _summarise(named(barriers, per_epoch), ["series", "found", "epoch"])


def over_epochs(barriers: pd.DataFrame, per_epoch: float) -> pd.DataFrame:
    """Return the same as `by_epoch` over all epochs together: a row per series, epoch found and risk."""
    return _summarise(named(barriers, per_epoch), ["series", "found"])


def named(barriers: pd.DataFrame, per_epoch: float) -> pd.DataFrame:
    """Return the pairs with `series`, the `epoch` of the networks and that of the permutation, `found`.

    `found` is NaN for unaligned pairs.
    """
    chosen = barriers[barriers.kind.isin([Kind.UNALIGNED, Kind.DIRECT, Kind.STACKED])]
    stacked = [f"stacked {size:.0f}" for size in chosen["stack"].astype(float)]
    series = chosen.kind.where(chosen.kind != Kind.STACKED, stacked)
    found = chosen.permutation_step.astype(float) / per_epoch
    return chosen.assign(series=series, found=found, epoch=chosen.step / per_epoch)


def _summarise(chosen: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    unaligned, direct = (chosen[chosen.series == series] for series in (Kind.UNALIGNED, Kind.DIRECT))
    end = direct[(direct.found == direct.found.max()) & (direct.epoch == direct.epoch.max())]
    rows = []
    for at, group in chosen.groupby(keys, dropna=False):
        members = members_of(group)
        references = {"share": unaligned[unaligned.epoch.isin(group.epoch)], "times": end}
        for risk in UNITS:
            row = {
                **dict(zip(keys, at, strict=True)),
                "risk": risk,
                **spread(group[f"{risk}_barrier"], members),
            }
            for name, reference in references.items():
                row |= named_ends(name, share(group, reference, risk))
            rows.append(row)
    return pd.DataFrame(rows)


def fixed_points(agreements: pd.DataFrame, per_epoch: float) -> pd.DataFrame:
    """Return by epoch the mean share of units on which its permutation agrees with the last one."""
    along = agreements[agreements.kind == "trajectory"]
    along = along[along.step < along.step.max()]
    rows = []
    for epoch, group in along.groupby(along.step / per_epoch):
        ends = vars(interval(group.fixed_points.tolist(), members_of(group)))
        rows.append({"epoch": epoch, **ends, "n": len(group)})
    return pd.DataFrame(rows, columns=["epoch", "mean", "low", "high", "n"])


def decisions(means: pd.DataFrame) -> dict[float, Decision]:
    """Decide on the first, the middle and the last permutation, by the epochs at which they were found."""
    decided = decide(means, "series", ["epoch"])
    direct = decided[decided.series == Kind.DIRECT]
    chosen = sorted(first_middle_last(direct.found).values())
    return {epoch: decide_together(direct[direct.found == epoch], "epoch") for epoch in chosen}


def trajectories(
    barriers: pd.DataFrame, agreements: pd.DataFrame, trials: pd.DataFrame
) -> Iterator[tuple[Setting, pd.DataFrame, pd.DataFrame]]:
    """Yield pairs and agreements of every setting and width that has permutations along training."""
    if not (agreements.kind == "trajectory").any():
        return
    chosen = one_statistics(barriers[(barriers.level == 0) & barriers.across.isna()]).astype({"width": int})
    for setting, rows in by_width(by_setting(chosen[chosen.interpolation == Interpolation.PAIR], trials)):
        shares = agreements[agreements.group.isin(rows.group) & (agreements.method == setting.method)]
        if (shares.kind == "trajectory").any():
            yield setting, rows, shares


def steps_per_epoch(trials: pd.DataFrame) -> float:
    """Return the optimiser steps of an epoch, which the trials of a group have in common."""
    return float((trials.steps / trials.epochs).iloc[0])
