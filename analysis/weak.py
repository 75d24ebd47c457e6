"""Does some permutation connect every pair? All pairs as they are and aligned, beside their controls."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.bootstrap import interval
from analysis.command import command
from analysis.deciding import share_connected, state
from analysis.members import trial_of
from analysis.panels import UNITS
from analysis.points import LINEAR, points
from analysis.settings import Setting, dense_ends
from analysis.style import BLACK, BLUE, GREEN, ORANGE, PINK, RED, SKY, THRESHOLD, Mark, plt, save

INDEPENDENT, SAME = "independent", "same initialisation"
UNALIGNED = "unaligned"
SPLITS = ("train", "test")
LOOKS = [
    Mark(colour, marker)
    for colour, marker in zip((BLACK, BLUE, RED, GREEN, ORANGE, SKY, PINK), "os^DvPX", strict=True)
]


def pairs(barriers: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the unaligned and direct pairs with `series`, `how` they were aligned, and `members`.

    The series says what the two networks share: nothing (`independent`), their initialisation but not
    the order of the data, or a run up to `spawn_at`. The intervals of spawned pairs are those of networks
    from this one trunk.
    """
    chosen = barriers[barriers.interpolation.eq("pair") & barriers.kind.isin([UNALIGNED, "direct"])]
    runs = {row.trial_id: row for row in trials[trials.level == 0].itertuples()}
    members = [[trial_of(network) for network in networks] for networks in chosen.networks]
    series = [_series(runs[one], runs[other]) for one, other in members]
    return chosen.assign(
        series=pd.Series(series, chosen.index, dtype=object),
        how=chosen.method.str.replace("_", " ").fillna(UNALIGNED),
        members=pd.Series(members, chosen.index, dtype=object),
    )


def _series(one: Any, other: Any) -> str:
    if one.branch == other.branch == "spawned" and one.start > 0:
        return f"spawned at {one.spawn_at}"
    same = one.branch == other.branch and one.init_seed == other.init_seed
    return SAME if same else INDEPENDENT


def summarise(chosen: pd.DataFrame) -> pd.DataFrame:
    """Return a row per series, alignment, split and risk: mean, interval, maximum, share connected, n."""
    rows = []
    for (series, how, split), group in chosen.groupby(["series", "how", "split"]):
        for risk in UNITS:
            values = group[f"{risk}_barrier"]
            rows.append(
                {
                    "series": series,
                    "how": how,
                    "split": split,
                    "risk": risk,
                    **vars(interval(values.tolist(), group.members.tolist())),
                    "maximum": values.max(),
                    "connected": share_connected(values),
                    "n": len(values),
                }
            )
    return pd.DataFrame(rows)


def verdicts(summary: pd.DataFrame, title: str) -> list[str]:
    """Return a sentence per series and alignment: whether its mean error barrier is at most 0.02."""
    errors = {(row.series, row.how, row.split): row for row in summary[summary.risk == "error"].itertuples()}
    sentences = []
    for series in _series_in_order(summary):
        for how in _how_in_order(summary[summary.series == series]):
            words = [
                _words(errors[series, how, split], errors.get((series, UNALIGNED, split)))
                for split in SPLITS
                if (series, how, split) in errors
            ]
            sentences.append(
                f"{title}, {series}, {how}: error barrier at most {THRESHOLD}: {'; '.join(words)}"
            )
    return sentences


def _words(row: Any, unaligned: Any) -> str:
    base = None if row.how == UNALIGNED or unaligned is None else unaligned.mean
    return (
        f"{row.split} {state(row.low, row.high, base)} ({_text(row.mean, row.low, row.high)}, "
        f"maximum {row.maximum:.3f}, {row.connected:.0%} of {row.n} pairs)"
    )


def _text(mean: float, low: float, high: float) -> str:
    return f"{mean:.3f}" if np.isnan(low) else f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def _series_in_order(rows: pd.DataFrame) -> list[str]:
    """Independent networks first, then those that share ever more."""
    named = [name for name in (INDEPENDENT, SAME) if (rows.series == name).any()]
    return named + sorted(set(rows.series) - set(named), key=lambda name: (len(name), name))


def _how_in_order(rows: pd.DataFrame) -> list[str]:
    names = (UNALIGNED, "weight matching", "activation matching")
    found = set(rows.how)
    return [name for name in names if name in found] + sorted(found - set(names))


def table(summary: pd.DataFrame) -> str:
    """Return mean barriers with their intervals, a line per series and alignment."""
    text = [_text(*ends) for ends in zip(summary["mean"], summary.low, summary.high, strict=True)]
    wide = summary.assign(text=text).pivot(index=["series", "how"], columns=["risk", "split"], values="text")
    order = [(series, how) for series in _series_in_order(summary) for how in _how_in_order(summary)]
    return wide.reindex([key for key in order if key in wide.index]).sort_index(axis=1).to_string()


def draw(chosen: pd.DataFrame, summary: pd.DataFrame, title: str, path: Path) -> None:
    """Draw a panel per risk and split; `points.points` says how."""
    categories = _how_in_order(summary)
    marks = dict(zip(_series_in_order(summary), LOOKS, strict=False))
    splits = [split for split in SPLITS if (summary.split == split).any()]
    figure, axes = plt.subplots(
        len(UNITS),
        len(splits),
        figsize=(1 + 4.6 * len(splits), 7.4),
        constrained_layout=True,
        squeeze=False,
        sharey="row",
    )
    for row, (risk, unit) in zip(axes, UNITS.items(), strict=True):
        top = chosen[f"{risk}_barrier"].max() * 1.6
        row[0].set_ylim(-LINEAR / 12, max(top, 2 * THRESHOLD))
        for axis, split in zip(row, splits, strict=True):
            values = chosen[chosen.split == split].rename(columns={"how": "x", f"{risk}_barrier": "value"})
            means = summary[(summary.split == split) & (summary.risk == risk)].rename(columns={"how": "x"})
            points(axis, values, means, categories, marks, risk == "error")
            axis.set_ylabel(f"{split} {risk} barrier ({unit})")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(
        f"{title}: barriers of all pairs (mean, 95 % interval over networks)\naxes linear below {LINEAR}",
        fontsize=11,
    )
    save(figure, path)


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, write `figures/weak_*.png` and return tables and verdicts."""
    barriers, trials = pd.read_parquet(folder / "barriers"), pd.read_parquet(folder / "trials")
    chosen = pairs(dense_ends(barriers), trials)
    parts = []
    for (dataset, model, norm, width), rows in chosen.groupby(["dataset", "model", "norm", "width"]):
        setting = Setting(str(dataset), str(model), str(norm), width=int(str(width)))
        summary = summarise(rows)
        draw(rows, summary, setting.title, folder / "figures" / f"weak_{setting.stem}.png")
        head = f"{setting.title}: mean barrier of pairs [95 % interval over networks]"
        parts.append("\n".join([head, table(summary), *verdicts(summary, setting.title)]))
    return "\n\n".join(parts) or "weak: no pairs yet"


if __name__ == "__main__":
    command(__doc__, "weak_digits", analyse)
