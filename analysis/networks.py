"""How good the compared networks are themselves: barriers of networks that learnt nothing say nothing."""

from collections.abc import Iterator

import pandas as pd

from analysis.members import trial_of

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
    """Say how large the test error of the dense networks is that `rows` compare: mean and range by width.

    A second sentence names the widths at which they are no better than guessing.
    """
    names = {trial_of(network) for networks in rows.networks for network in networks}
    pruned = trials[trials.trial_id.isin(names) & trials.level.gt(0)]
    dense = trials[trials.level.eq(0) & trials.trial_id.isin(names.union(pruned.parent_trial))]
    widths = list(dense.groupby("width"))
    errors = ", ".join(f"{width}: {_range(own.test_error)}" for width, own in widths)
    return [f"test error of the networks themselves by width (mean, range): {errors}", *_lost(widths)]


def _guesses(trials: pd.DataFrame) -> pd.Series:
    return trials.test_error >= NEAR * trials.guess_error


def _range(errors: pd.Series) -> str:
    return f"{errors.mean():.3f} ({errors.min():.3f} to {errors.max():.3f}, n = {len(errors)})"


def _lost(widths: list[tuple[object, pd.DataFrame]]) -> Iterator[str]:
    lost = {width: (int(_guesses(own).sum()), len(own)) for width, own in widths}
    words = [f"{count} of {n} at width {width}" for width, (count, n) in lost.items() if count]
    if words:
        yield f"AT CHANCE: networks that are no better than guessing ({', '.join(words)}) make no result"
