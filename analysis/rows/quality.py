"""How good the compared networks are themselves: barriers of networks that learnt nothing say nothing."""

from collections.abc import Iterator

import pandas as pd

from raysweep.sweep.variants import trial_of, variants

NEAR = 0.95  # a network errs like guessing from this share of the error of the best constant answer on


def at_chance(trials: pd.DataFrame) -> set[str]:
    """Return the trials whose dense networks are no better than the best constant answer, but for 5 % of it.

    Those that a dense network was pruned to are among them. None where the table lacks the columns that tell.
    """
    if not {"test_error", "guess_error"}.issubset(trials):
        return set()
    dense = set(trials[trials.level.eq(0) & _guesses(trials)].trial_id)
    pruned = trials[trials.level.gt(0)]
    return dense.union(pruned[pruned.parent_trial.isin(dense)].trial_id) if len(pruned) else dense


def themselves(rows: pd.DataFrame, trials: pd.DataFrame) -> list[str]:
    """Say how large the test error of the dense networks is that `rows` compare, or of which theirs come.

    Mean and range stand by width, and by configuration where there are several. A second sentence names those
    that are no better than guessing.
    """
    names = {trial_of(network) for networks in rows.networks for network in networks}
    pruned = trials[trials.trial_id.isin(names) & trials.level.gt(0)]
    dense = trials[trials.level.eq(0) & trials.trial_id.isin(names.union(pruned.parent_trial))]
    told = [dense.width, dense.dataset, variants(dense, dense)]
    several = dense.dataset.nunique() > 1
    found = {
        ", ".join([f"width {width}", *([str(data)] if several else []), *([str(own)] if own else [])]): same
        for (width, data, own), same in dense.groupby(told)
    }
    errors = [f"  {name}: {_range(same.test_error)}" for name, same in found.items()]
    return ["test error of the networks themselves (mean, range):", *errors, *_lost(found)]


def _guesses(trials: pd.DataFrame) -> pd.Series:
    return trials.test_error >= NEAR * trials.guess_error


def _range(errors: pd.Series) -> str:
    return f"{errors.mean():.3f} ({errors.min():.3f} to {errors.max():.3f}, n = {len(errors)})"


def _lost(found: dict[str, pd.DataFrame]) -> Iterator[str]:
    counts = {name: (int(_guesses(same).sum()), len(same)) for name, same in found.items()}
    words = [f"{count} of {n} of {name}" for name, (count, n) in counts.items() if count]
    if words:
        yield f"AT CHANCE: networks that are no better than guessing ({'; '.join(words)}) make no result"
