"""The verdicts of a sweep on every claim, on independent networks only."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from analysis import weak, width_scaling
from analysis.pruning import barriers as pruning
from analysis.rows.members import independent
from analysis.rows.settings import (
    Setting,
    by_networks,
    by_setting,
    by_width,
    dense_ends,
    pruned_pairs,
)
from analysis.rows.tables import Tables
from analysis.statistics import pairs as all_pairs
from analysis.statistics.simultaneous import Decision
from analysis.statistics.spread import SPREAD
from analysis.summary.verdict import Verdict
from analysis.trajectory import barriers as trajectory
from raysweep.vocabulary import Kind

WEAK, TRAINING, PRUNING, STRONG = "weak", "along training", "along pruning", "strong"
STRONG_WORDS = {
    Kind.VIA: "pairs, both aligned to a third network",
    Kind.JOINT: "pairs of three jointly aligned networks",
    "barycentre, via": "barycentre of three, two aligned to the third",
    "barycentre, joint": "barycentre of three jointly aligned",
    "simplex, via": "all mixtures of three, two aligned to the third",
    "simplex, joint": "all mixtures of three jointly aligned",
}
Make = Callable[..., Verdict]  # a `Verdict` of the sweep at hand
STATED = ("state", *SPREAD)


def evidence(tables: Tables) -> list[Verdict]:
    """Return the verdicts of a sweep for each claim, setting, kind of permutation, width and split."""
    comparable = tables.barriers[tables.barriers.group.isin(independent(tables.barriers, tables.trials))]
    make = partial(Verdict, sweep=tables.name)
    claims = (_weak, _along_training, _along_pruning, _strong)
    found = [each for claim in claims for each in claim(comparable, tables, make)]
    order = (WEAK, TRAINING, PRUNING, STRONG)
    return sorted(found, key=lambda each: (order.index(each.claim), each.family))


def _weak(barriers: pd.DataFrame, tables: Tables, make: Make) -> Iterator[Verdict]:
    pairs = weak.pairs(dense_ends(barriers, tables.trials), tables.trials)
    for setting, rows in by_width(by_networks(pairs, tables.trials)):
        decided = all_pairs.decided(all_pairs.summarise(rows[rows.series.str.startswith(weak.INDEPENDENT)]))
        for row in decided[decided.alignment != Kind.UNALIGNED].itertuples():
            own = replace(setting, method=str(row.alignment).replace(" ", "_"))
            yield make(claim=WEAK, what="one aligned to the other", setting=own, **_spread(row))


def _along_training(barriers: pd.DataFrame, tables: Tables, make: Make) -> Iterator[Verdict]:
    for setting, rows, _ in trajectory.trajectories(barriers, tables.agreements, tables.trials):
        per_epoch = trajectory.steps_per_epoch(tables.trials[tables.trials.group.isin(rows.group)])
        for split, same in rows.groupby("split"):
            means = trajectory.by_epoch(same, per_epoch)
            for epoch, decision in trajectory.decisions(means).items():
                what = f"permutation of epoch {epoch:g} at every epoch"
                yield _along(make, TRAINING, what, setting, str(split), decision)


def _along_pruning(barriers: pd.DataFrame, tables: Tables, make: Make) -> Iterator[Verdict]:
    if not tables.trials.level.gt(0).any():
        return
    for setting, rows, trials in pruned_pairs(barriers[barriers.across.isna()], tables.trials):
        for split, chosen in rows.groupby("split"):
            levels = pruning.decided(pruning.by_level(chosen, trials))
            for point, decision in pruning.decisions(levels).items():
                what = f"permutation of the dense networks at every level, {pruning.POINTS[point]}"
                yield _along(make, PRUNING, what, setting, str(split), decision)


def _strong(barriers: pd.DataFrame, tables: Tables, make: Make) -> Iterator[Verdict]:
    ends = dense_ends(barriers, tables.trials)
    for setting, rows in by_width(by_setting(ends, tables.trials)):
        decided = width_scaling.decided(width_scaling.summarise(rows, tables.alignments))
        for row in decided[decided.kind.isin(STRONG_WORDS)].itertuples():
            yield make(claim=STRONG, what=STRONG_WORDS[str(row.kind)], setting=setting, **_spread(row))


def _spread(row: Any) -> dict[str, Any]:
    return {"split": row.split, **{name: getattr(row, name) for name in STATED}}


def _along(make: Make, claim: str, what: str, setting: Setting, split: str, found: Decision) -> Verdict:
    where = f"at {found.coordinate} {found.position:g}, the worst; holds at {found.counts}"
    numbers = {name: getattr(found, name) for name in (*STATED, "undecided")}
    return make(claim=claim, what=what, setting=setting, split=split, where=where, **numbers)
