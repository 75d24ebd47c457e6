"""How good the compared networks are: barriers between networks that learnt nothing mean nothing."""

from collections.abc import Iterator

import pandas as pd

from raysweep.tables.variants import trial_of, variants

NEAR = 0.95  # from this share of the error of the best constant answer on, a network counts as guessing


def at_chance(trials: pd.DataFrame) -> set[str]:
    """Return the trials whose dense networks have at least 95 % of the error of the best constant answer.

    Trials that were pruned from such a network are among them. The set is empty where the table lacks the
    columns `test_error` and `guess_error`.
    """
    if not {"test_error", "guess_error"}.issubset(trials):
        return set()
    dense = set(trials[trials.level.eq(0) & _guesses(trials)].trial_id)
    pruned = trials[trials.level.gt(0)]
    return dense.union(pruned[pruned.parent_trial.isin(dense)].trial_id) if len(pruned) else dense


def themselves(rows: pd.DataFrame, trials: pd.DataFrame) -> list[str]:
    """Return lines on the test error of the dense networks that `rows` compare or stem from.

    Mean and range are given by width, and by setting where there are several. The last line names
    networks that are no better than guessing.
    """
    names = {trial_of(network) for networks in rows.networks for network in networks}
    pruned = trials[trials.trial_id.isin(names) & trials.level.gt(0)]
    dense = trials[trials.level.eq(0) & trials.trial_id.isin(names.union(pruned.parent_trial))]
    keys = [dense.width, dense.dataset, variants(dense, dense)]
    several = dense.dataset.nunique() > 1
    found = {
        ", ".join([f"width {width}", *([str(data)] if several else []), *([str(own)] if own else [])]): same
        for (width, data, own), same in dense.groupby(keys)
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
        names = "; ".join(words)
        yield f"AT CHANCE: networks that are no better than guessing ({names}) support no conclusion"
