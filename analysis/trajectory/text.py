"""The tables and sentences on permutations along training."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.statistics.deciding import THRESHOLD, decide, with_reason
from analysis.statistics.jackknife import with_interval
from analysis.statistics.simultaneous import HALF, Decision, below_half, first_middle_last, sentence
from analysis.statistics.spread import UNITS, in_numbers, in_order, wide_table
from analysis.trajectory import hybrids as of_layers
from analysis.trajectory import stacks as of_checkpoints
from raysweep.vocabulary import Kind, Split


def report(
    title: str,
    means: pd.DataFrame,
    along: pd.DataFrame,
    shares: pd.DataFrame,
    hybrids: pd.DataFrame,
    stacks: pd.DataFrame,
    decided: Mapping[float, Decision],
    split: str = Split.TEST,
) -> str:
    """Return the tables and the sentences from the frames of `barriers`, `hybrids` and `stacks`."""
    parts = [f"{title}: mean {split} loss barrier by epoch", _matrix(means)]
    for risk, unit in UNITS.items():
        parts += [
            f"{title}: {split} {risk} barrier by epoch ({unit}) [95 % interval]",
            _by_epoch(means, risk),
        ]
    if len(stacks):
        parts += [f"{title}: {split} barriers of super-alignment minus those of the last permutation, paired"]
        parts += [_stacks(stacks)]
    if len(hybrids):
        parts += [
            f"{title}: {split} barriers of hybrids at the end, by layer groups with the early permutation"
        ]
        parts += [_hybrids(hybrids)]
    text = ", ".join(f"{row.epoch:g}: {_ends(row)}" for row in list[Any](shares.itertuples()))
    parts += [f"fixed points with the last permutation by epoch: {text or 'none'}"]
    sentences = [*verdicts(decided), *ratios(means, along)]
    sentences += of_checkpoints.verdicts(stacks) + of_layers.verdicts(hybrids)
    return "\n".join([*parts, *sentences])


def verdicts(decided: Mapping[float, Decision]) -> list[str]:
    """Return a sentence for each permutation: at how many epochs its error barrier is low."""
    return [
        f"permutation of epoch {epoch:g}: {sentence(found, 'training')}" for epoch, found in decided.items()
    ]


def ratios(means: pd.DataFrame, along: pd.DataFrame) -> list[str]:
    """Return how well the last permutation aligns earlier epochs, and earlier permutations the end."""
    chosen = first_middle_last(means[means.series == Kind.DIRECT].found)
    if not chosen:
        return []
    last = chosen.pop("last")
    decided, losses = decide(means, "series", ["epoch"]), means[means.risk == "loss"]
    errors, losses = (rows[rows.series == Kind.DIRECT] for rows in (decided, losses))
    return [
        _last(losses[losses.found == last], along, last),
        *(_early(*(_at_the_end(rows, found) for rows in (errors, losses))) for found in chosen.values()),
    ]


def _last(losses: pd.DataFrame, along: pd.DataFrame, last: float) -> str:
    rows: list[Any] = list(losses.itertuples())
    worst, end = rows[int(losses["mean"].fillna(math.inf).argmax())], rows[int(losses.epoch.argmax())]
    own = along[(along.series == Kind.DIRECT) & (along.found == last) & (along.risk == "loss")]
    (mean,) = list[Any](own.itertuples())
    return (
        f"last permutation (epoch {last:g}) at the earlier epochs: {_half(worst)} where it is largest, "
        f"{_ends(worst)} at epoch {worst.epoch:g}); on average over the epochs {_ends(mean)}, {_times(mean)} "
        f"the {_ends(end)} at the end"
    )


def _at_the_end(rows: pd.DataFrame, found: float) -> Any:
    """Return the row of a permutation, by the epoch at which it was found, at the last epoch."""
    (row,) = rows[(rows.found == found) & (rows.epoch == rows.epoch.max())].itertuples()
    return row


def _early(error: Any, loss: Any) -> str:
    return (
        f"permutation of epoch {loss.found:g} at the end: {_half(loss)}: {_ends(loss)}); {_times(loss)} "
        f"that of the last permutation; mean error barrier at most {THRESHOLD}: "
        f"{with_reason(error.state, error.reason)} ({in_numbers(error, 'pairs')})"
    )


def _half(row: Any) -> str:
    share = (row.share, row.share_low, row.share_high)
    found = below_half(*share[1:], row.share_reason)
    word = f"{found.state}: {found.reason}" if found.reason else found.state
    return f"loss barrier below {HALF} of the unaligned one: {word} ({with_interval(*share)} of it"


def _times(row: Any) -> str:
    return f"{with_interval(row.times, row.times_low, row.times_high)} times"


def _ends(row: Any) -> str:
    return with_interval(row.mean, row.low, row.high)


def _matrix(means: pd.DataFrame) -> str:
    losses = means[means.risk == "loss"]
    pairs = zip(losses.series, losses.found, strict=True)
    labels = [series if pd.isna(found) else f"{series}, found at {found:g}" for series, found in pairs]
    table = losses.assign(name=labels).pivot_table(index="name", columns="epoch", values="mean", sort=False)
    return table.to_string(float_format="{:.3f}".format)


def _by_epoch(means: pd.DataFrame, risk: str) -> str:
    """Return the table of the series that the figure draws as curves, and of all stacks."""
    rows = means[means.risk == risk]
    chosen = first_middle_last(rows[rows.series == Kind.DIRECT].found).values()
    rows = rows[(rows.series != Kind.DIRECT) | rows.found.isin(chosen)]
    labels = [
        f"epoch {found:g}'s" if series == Kind.DIRECT else series
        for series, found in zip(rows.series, rows.found, strict=True)
    ]
    rows, plain = rows.assign(name=labels), rows.series == Kind.UNALIGNED
    ordered = pd.concat([rows[plain], rows[~plain]])
    return _wide(ordered.assign(name=in_order(ordered.name)), "epoch", "name")


def _stacks(stacks: pd.DataFrame) -> str:
    labels = ["all" if pd.isna(epoch) else f"{epoch:g}" for epoch in stacks.epoch]
    columns = [f"{series}, {risk}" for series, risk in zip(stacks.series, stacks.risk, strict=True)]
    return _wide(stacks.assign(epoch=labels, name=in_order(columns)), "epoch", "name")


def _hybrids(hybrids: pd.DataFrame) -> str:
    pairs = zip(hybrids.hybrid, hybrids.layers, strict=True)
    labels = [name if pd.isna(layers) else f"{name} {layers:.0f}" for name, layers in pairs]
    return _wide(hybrids.assign(name=labels), "name", "risk")


def _wide(rows: pd.DataFrame, index: str, columns: str) -> str:
    return wide_table(rows, index, columns, sort=False).to_string()
