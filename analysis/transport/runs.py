"""The pruned runs: where the mask of each comes from, and whether it learnt anything."""

import pandas as pd

from raysweep.choices import choose
from raysweep.sweep.branches import BRANCHES
from raysweep.vocabulary import Branch, Split

OWN, RANDOM, ONE_SHOT = "own mask", BRANCHES["random"].title, BRANCHES["one_shot"].title
TRANSPORTED = {
    "level": "transported, level's permutation",
    "dense": "transported, dense permutation",
    "none": "transported, no permutation",
}
NEAR = 0.2  # share of the distance in test error between untrained and dense networks


def chance(trials: pd.DataFrame, metrics: pd.DataFrame) -> float:
    """Return the test error from which on a run counts as collapsed to chance; infinite where it is unknown.

    The tables do not hold the number of classes, but the test error at step 0, before any training, is that
    of guessing. A run has collapsed when its distance from that error is less than a fifth of that of the
    mean of the trained dense networks.
    """
    dense = trials[trials.level == 0]
    start = metrics[
        metrics.trial_id.isin(dense.trial_id) & metrics.step.eq(0) & metrics.split.eq(Split.TEST)
    ].error
    if start.empty:
        return float("inf")
    return float(start.mean() - NEAR * (start.mean() - dense.test_error.mean()))


def named_runs(trials: pd.DataFrame, limit: float) -> pd.DataFrame:
    """Return the pruned runs with `run`, `collapsed`, and `members`, the dense networks behind them."""
    pruned = trials[trials.level > 0]
    names = [
        choose("permutation", permutation, TRANSPORTED)
        if branch == "transport"
        else OWN
        if branch == Branch.MAIN
        else BRANCHES[branch].title
        for branch, permutation in zip(pruned.branch, pruned.mask_permutation, strict=True)
    ]
    chains = pruned[pruned.branch == "main"]
    dense = dict(zip(chains.trial_id, chains.parent_trial, strict=True))
    members = [
        sorted({parent, dense.get(mask, parent)})
        for parent, mask in zip(pruned.parent_trial, pruned.mask_trial, strict=True)
    ]
    return pruned.assign(
        run=names,
        collapsed=pruned.test_error >= limit,
        members=pd.Series(members, pruned.index, dtype=object),
    )
