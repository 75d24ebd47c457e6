"""The tables and sentences of `analysis.trajectory`."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis import trajectory_hybrids, trajectory_stacks
from analysis.bootstrap import with_interval
from analysis.deciding import state
from analysis.panels import UNITS
from analysis.simultaneous import HALF, Decision, below_half, first_middle_last, sentence
from analysis.style import THRESHOLD


def report(
    title: str,
    means: pd.DataFrame,
    along: pd.DataFrame,
    shares: pd.DataFrame,
    hybrids: pd.DataFrame,
    stacks: pd.DataFrame,
    decided: Mapping[float, Decision],
) -> str:
    """Return the tables and the sentences; the frames are those of `analysis.trajectory`."""
    parts = [f"{title}: mean test loss barrier by epoch", _matrix(means)]
    for risk, unit in UNITS.items():
        parts += [f"{title}: test {risk} barrier by epoch ({unit}) [95 % interval]", _by_epoch(means, risk)]
    if len(stacks):
        parts += [f"{title}: test barriers of super-alignment minus those of the last permutation, paired"]
        parts += [_stacks(stacks)]
    if len(hybrids):
        parts += [f"{title}: test barriers of hybrids at the end, by groups with the early permutation"]
        parts += [_hybrids(hybrids)]
    text = ", ".join(f"{row['epoch']:g}: {_ends(row)}" for row in shares.to_dict("records"))
    parts += [f"fixed points with the last permutation by epoch: {text or 'none'}"]
    sentences = [*verdicts(decided), *ratios(means, along)]
    sentences += trajectory_stacks.verdicts(stacks) + trajectory_hybrids.verdicts(hybrids)
    return "\n".join([*parts, *sentences])


def verdicts(decided: Mapping[float, Decision]) -> list[str]:
    """Say of the last, the middle and the first permutation at which epochs the error barrier is low."""
    return [
        f"permutation of epoch {epoch:g}: {sentence(found, 'training', 'epoch')}"
        for epoch, found in decided.items()
    ]


def ratios(means: pd.DataFrame, along: pd.DataFrame) -> list[str]:
    """Say whether the last permutation aligns the earlier epochs, and earlier ones the end, by the losses."""
    direct = means[means.series == "direct"]
    chosen = first_middle_last(direct.found)
    if not chosen:
        return []
    last = chosen.pop("last")
    end = direct.epoch.max()
    return [
        _last(direct[(direct.found == last) & (direct.risk == "loss")], along, last),
        *(_early(direct[(direct.found == early) & (direct.epoch == end)]) for early in chosen.values()),
    ]


def _last(losses: pd.DataFrame, along: pd.DataFrame, last: float) -> str:
    worst: Any = losses.iloc[int(losses["mean"].argmax())]
    end: Any = losses.iloc[int(losses.epoch.argmax())]
    mean: Any = along[(along.series == "direct") & (along.found == last) & (along.risk == "loss")].iloc[0]
    return (
        f"last permutation (epoch {last:g}) at the earlier epochs: {_half(worst)} where it is largest, "
        f"{_ends(worst)} at epoch {worst.epoch:g}); on average over the epochs {_ends(mean)}, {_times(mean)} "
        f"the {_ends(end)} at the end"
    )


def _early(rows: pd.DataFrame) -> str:
    by_risk: dict[str, Any] = {row["risk"]: row for row in rows.to_dict("records")}
    error, loss = by_risk["error"], by_risk["loss"]
    return (
        f"permutation of epoch {loss['found']:g} at the end: {_half(loss)}: {_ends(loss)}); {_times(loss)} "
        f"that of the last permutation; test error barrier at most {THRESHOLD}: "
        f"{state(error['low'], error['high'])} ({_ends(error)})"
    )


def _half(row: Any) -> str:
    share = [row[name] for name in ("share", "share_low", "share_high")]
    word = below_half(*share)
    return f"test loss barrier below {HALF} of the unaligned one: {word} ({with_interval(*share)} of it"


def _times(row: Any) -> str:
    return f"{with_interval(row['times'], row['times_low'], row['times_high'])} times"


def _ends(row: Any) -> str:
    return with_interval(row["mean"], row["low"], row["high"])


def _matrix(means: pd.DataFrame) -> str:
    losses = means[means.risk == "loss"]
    pairs = zip(losses.series, losses.found, strict=True)
    labels = [series if pd.isna(found) else f"{series}, found at {found:g}" for series, found in pairs]
    table = losses.assign(name=labels).pivot_table(index="name", columns="epoch", values="mean", sort=False)
    return table.to_string(float_format="{:.3f}".format)


def _by_epoch(means: pd.DataFrame, risk: str) -> str:
    """Write the intervals of the series that the figure draws as curves, and of all stacks."""
    rows = means[means.risk == risk]
    chosen = first_middle_last(rows[rows.series == "direct"].found).values()
    rows = rows[(rows.series != "direct") | rows.found.isin(chosen)]
    labels = [
        f"epoch {found:g}'s" if series == "direct" else series
        for series, found in zip(rows.series, rows.found, strict=True)
    ]
    rows, plain = rows.assign(name=labels), rows.series == "unaligned"
    return _wide(pd.concat([rows[plain], rows[~plain]]), "epoch", "name")


def _stacks(stacks: pd.DataFrame) -> str:
    labels = ["all" if pd.isna(epoch) else f"{epoch:g}" for epoch in stacks.epoch]
    columns = [f"{series}, {risk}" for series, risk in zip(stacks.series, stacks.risk, strict=True)]
    return _wide(stacks.assign(epoch=labels, name=columns), "epoch", "name")


def _hybrids(hybrids: pd.DataFrame) -> str:
    pairs = zip(hybrids.hybrid, hybrids.layers, strict=True)
    labels = [name if pd.isna(layers) else f"{name} {layers:.0f}" for name, layers in pairs]
    return _wide(hybrids.assign(name=labels), "name", "risk")


def _wide(rows: pd.DataFrame, index: str, columns: str) -> str:
    text = list(map(with_interval, rows["mean"], rows.low, rows.high))
    wide = rows.assign(text=text).pivot_table(
        index=index, columns=columns, values="text", aggfunc="first", sort=False
    )
    return wide[list(dict.fromkeys(rows[columns]))].to_string()
