"""Test errors and losses of pruned runs by level, and their paired differences under other masks."""

from typing import Any

import pandas as pd

from analysis.statistics.deciding import ABOVE, BELOW, UNDECIDED, side_of
from analysis.statistics.spread import UNITS, mean
from analysis.transport.runs import ONE_SHOT, OWN, RANDOM, TRANSPORTED

BETTER, WORSE = "better", "worse"
WORDS = {ABOVE: BETTER, BELOW: WORSE}
# The runs that a transported and permuted mask is compared with, and the columns in which both agree.
REFERENCES = {
    TRANSPORTED["none"]: ["level", "parent_trial", "mask_trial"],
    OWN: ["level", "parent_trial"],
    RANDOM: ["level", "parent_trial"],
    ONE_SHOT: ["level", "parent_trial"],
}
KEYS = ["permutation", "reference", "risk", "level", "sparsity"]


def by_level(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean test error and loss of each kind of run by level, with intervals.

    Runs that collapsed to chance, which `collapsed` counts, are included in the error but not in the loss,
    whose size then means nothing. Levels at which all runs collapsed have no mean loss.
    """
    rows = []
    for (run, level), group in runs.groupby(["run", "level"]):
        same = {"run": run, "level": level, "sparsity": group.sparsity.mean()}
        for risk in UNITS:
            kept = group if risk == "error" else group[~group.collapsed]
            ends = _mean(kept[f"test_{risk}"], kept.members)
            rows.append({**same, "risk": risk, **ends, "collapsed": group.collapsed.sum()})
    return pd.DataFrame(rows)


def differences(runs: pd.DataFrame) -> pd.DataFrame:
    """Return by level the mean paired differences in test error and loss, reference minus permuted mask.

    Where a difference is positive, the permuted mask is better. Both runs of a pair have the same rewind
    point and, where the reference is transported too, the mask of the same other network. Pairs in which a
    run collapsed to chance, which `collapsed` counts, are left out of the loss. The interval decides `state`.
    """
    rows = []
    for permutation in ("dense", "level"):
        moved = runs[runs.run == TRANSPORTED[permutation]]
        for reference, keys in REFERENCES.items():
            pairs = moved.merge(runs[runs.run == reference], on=keys, suffixes=("", "_reference"))
            collapsed = pairs.collapsed | pairs.collapsed_reference
            for risk in UNITS:
                gains = pairs.assign(gain=pairs[f"test_{risk}_reference"] - pairs[f"test_{risk}"])
                kept = gains[~collapsed] if risk == "loss" else gains
                for level, group in kept.groupby("level"):
                    at = (permutation, reference, risk, level, group.sparsity.mean())
                    ends = _mean(group.gain, group.members)
                    found = side_of(0, ends["low"], ends["high"], ends["reason"])
                    decided = {"state": WORDS.get(found.state, found.state), "reason": found.reason}
                    left = {"collapsed": collapsed[pairs.level == level].sum()}
                    rows.append({**dict(zip(KEYS, at, strict=True)), **ends, **decided, **left})
    return pd.DataFrame(rows, columns=[*KEYS, "mean", "low", "high", "n", "state", "reason", "collapsed"])


def _mean(values: pd.Series, members: pd.Series) -> dict[str, Any]:
    if values.empty:
        nothing = float("nan")
        return {"mean": nothing, "low": nothing, "high": nothing, "reason": "none is left", "n": 0}
    return mean(values, members.tolist())


def verdicts(gains: pd.DataFrame, means: pd.DataFrame, limit: float) -> list[str]:
    """Return a sentence for each permutation and reference, and one on the runs that collapsed."""
    sentences = []
    for (permutation, reference), rows in gains.groupby(["permutation", "reference"], sort=False):
        parts = [f"test {risk} {_where(rows[rows.risk == risk])}" for risk in UNITS]
        sentences.append(
            f"mask transport, {permutation} permutation, against {reference}: {'; '.join(parts)}"
        )
    lost = means[(means.risk == "loss") & (means.collapsed > 0)]
    found = "; ".join(
        f"{run} " + ", ".join(f"{row.collapsed} at level {row.level}" for row in rows.itertuples())
        for run, rows in lost.groupby("run")
    )
    rule = f"runs at chance, with a test error of {limit:.3f} or more, left out of all losses"
    return [*sentences, f"{rule}: {found or 'none'}"]


def _where(rows: pd.DataFrame) -> str:
    levels = {word: rows[rows.state == word].level.tolist() for word in (BETTER, WORSE)}
    open_ = rows[rows.state == UNDECIDED]
    parts = [
        f"{reason} at {_ranges(part.level.tolist())}" for reason, part in open_.groupby("reason", sort=False)
    ]
    return (
        f"lower at levels {_ranges(levels[BETTER])}, higher at {_ranges(levels[WORSE])}, "
        f"undecided at {len(open_)} of {len(rows)}" + (f" ({', '.join(parts)})" if parts else "")
    )


def _ranges(levels: list[int]) -> str:
    """Return the levels 4, 6, 7, 8 as `4, 6-8`."""
    starts = [level for level in levels if level - 1 not in levels]
    ends = [level for level in levels if level + 1 not in levels]
    words = [f"{a}" if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True)]
    return ", ".join(words) or "none"
