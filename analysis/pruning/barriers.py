"""Barriers of pairs of pruned networks by level, and the decisions on the dense permutation."""

import math

import numpy as np
import pandas as pd

from analysis.rows.members import members_of
from analysis.statistics.deciding import FAILS, HOLDS, UNDECIDED, decide
from analysis.statistics.jackknife import NOT_POSITIVE, with_interval
from analysis.statistics.relative import named_ends, share
from analysis.statistics.simultaneous import (
    HALF,
    Decision,
    below_half,
    decide_together,
    reasons,
    sentence,
    together,
)
from analysis.statistics.spread import SPREAD, UNITS, mean, spread
from raysweep.tables.variants import trial_of
from raysweep.vocabulary import Interpolation, Kind, Split

KEYS = ["point", "level", "sparsity", "kind", "risk"]
SHARE = ["share", "share_low", "share_high", "share_reason"]
DECIDED = ["point", "level", "sparsity", "state", *SPREAD, "unaligned", *SHARE]
POINTS = {"rewind": "at the rewind point", "end": "at the end of training"}
KEEPS = {HOLDS: "keeps", FAILS: "does not keep", UNDECIDED: "may or may not keep"}
DENSE, OWN = "dense permutation", "level's permutation"


def by_level(barriers: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the spread of the barriers of pairs on one split by point, level, kind and risk.

    `share`, with its interval, is the mean barrier divided by the unaligned one (NaN where that is not
    positive). At level 0 the dense permutation is also that of the level. Comparisons elsewhere along
    training, and those under permutations found there, are left out.
    """
    rows = []
    for (point, level), part in _pairs(barriers, trials).groupby(["point", "level"]):
        kinds = {
            Kind.UNALIGNED: part[part.kind == Kind.UNALIGNED],
            DENSE: part[part.permutation_level == 0],
            OWN: part[part.permutation_level == part.level],
        }
        for kind, group in kinds.items():
            for risk in UNITS if len(group) else ():
                values = dict(zip(KEYS, (point, level, group.sparsity.mean(), kind, risk), strict=True))
                part_of = named_ends("share", share(group, kinds[Kind.UNALIGNED], risk))
                rows.append({**values, **spread(group[f"{risk}_barrier"], members_of(group)), **part_of})
    return pd.DataFrame(rows, columns=[*KEYS, *SPREAD, *SHARE])


def _pairs(barriers: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs at the rewind points and at the ends of their chains, with `sparsity` and `point`."""
    chosen = barriers[
        barriers.interpolation.eq(Interpolation.PAIR) & barriers.kind.isin([Kind.UNALIGNED, Kind.DIRECT])
    ]
    chains = trials[trials.branch.eq("main") & trials.level.gt(0)]
    starts = {
        **dict(zip(chains.parent_trial, chains.start, strict=True)),  # the dense networks at the rewind point
        **dict(zip(chains.trial_id, chains.start, strict=True)),
    }
    records = trials.set_index(["trial_id", "level"])
    own = chosen.networks.str[0].map(trial_of)
    at = list(zip(own, chosen.level, strict=True))
    ends = pd.Series([records.steps[key] for key in at], chosen.index, dtype=float)
    points = np.select([chosen.step == ends, chosen.step == own.map(starts)], ["end", "rewind"], "elsewhere")
    chosen = chosen.assign(sparsity=[records.sparsity[key] for key in at], point=points)
    found_at_end = chosen.permutation_step.astype(float).fillna(ends) == ends
    return chosen[found_at_end & (chosen.point != "elsewhere")]


def errors_by_level(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the mean test error of the dense networks and of those pruned from them, by level."""
    chains = trials[trials.branch.eq("main") & trials.level.gt(0)]
    dense = trials[trials.trial_id.isin(chains.parent_trial) & trials.level.eq(0)]
    rows = []
    for level, group in pd.concat([dense, chains]).groupby("level"):
        networks = group.parent_trial.where(group.level > 0, group.trial_id)
        values = {"level": level, "sparsity": group.sparsity.mean()}
        rows.append({**values, **mean(group.test_error, [[network] for network in networks])})
    return pd.DataFrame(rows)


def decided(means: pd.DataFrame) -> pd.DataFrame:
    """Return the decision on the dense permutation for each point and level.

    The error barrier decides; its spread and the `unaligned` mean are in the row. `share`, with its interval,
    is the mean loss barrier divided by the unaligned one.
    """
    at = ["point", "level"]
    found = decide(means, "kind", at)
    losses = means[(means.risk == "loss") & (means.kind == DENSE)]
    return found[found.kind == DENSE].drop(columns=SHARE).merge(losses[[*at, *SHARE]], on=at)[DECIDED]


def decisions(decided: pd.DataFrame) -> dict[str, Decision]:
    """Decide whether the dense permutation connects the pairs at all levels, for each point of training.

    Points without pruned networks are left out.
    """
    found = {}
    for point in POINTS:
        rows = decided[decided.point == point]
        if (rows.level > 0).any():
            found[point] = decide_together(rows, "level")
    return found


def verdicts(decided: pd.DataFrame, split: str = Split.TEST) -> list[str]:
    """Return two sentences for each point: on the error barriers and on the ratios of the loss barriers."""
    sentences = []
    for point, found in decisions(decided).items():
        sentences.append(f"{point}: dense permutation: {sentence(found, 'pruning')}")
        rows = decided[decided.point == point]
        sentences.append(
            _ratio_sentence(point, rows[(rows.level > 0) & (rows.share_reason != NOT_POSITIVE)], split)
        )
    return sentences


def _ratio_sentence(point: str, rows: pd.DataFrame, split: str) -> str:
    if rows.empty:
        return f"{point}: not informative, because unaligned sparse pairs have no loss barrier"
    worst = rows.iloc[int(rows.share.fillna(math.inf).argmax())]
    most = f"at most {with_interval(*worst[SHARE[:3]])} of it, at level {worst.level}"
    if math.isnan(worst.share):
        most = f"its share is not known at level {worst.level}"
    parts = zip(rows.level, *(rows[column] for column in SHARE[1:]), strict=True)
    found = {level: below_half(*part) for level, *part in parts}
    word = together(each.state for each in found.values())
    reason = f" ({reasons(found, 'level')})" if word == UNDECIDED else ""
    return (
        f"{point}: the dense permutation {KEEPS[word]} the {split} loss barrier below {HALF} of the "
        f"unaligned one at every level{reason}: {most}"
    )
