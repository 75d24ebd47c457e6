"""Do permutations compose? Barriers and fixed points of compositions along paths and around cycles."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from analysis.command import command
from analysis.figures.axes import at_threshold
from analysis.figures.marks import BLACK, BLUE, RED, Mark
from analysis.figures.style import caption, headline, save
from analysis.rows.quality import themselves
from analysis.rows.settings import by_setting, by_width, read_dense_ends
from analysis.rows.tables import OF_AGREEMENTS
from analysis.statistics.deciding import THRESHOLD, decide
from analysis.statistics.jackknife import METHOD, interval, with_interval
from analysis.statistics.spread import UNITS, in_words, spread, wide_table
from raysweep.tables.frames import read_frame
from raysweep.tables.variants import trial_of
from raysweep.vocabulary import Interpolation, Kind, Split

MARKS = {Kind.UNALIGNED: Mark(BLACK, "o"), "path": Mark(BLUE, "s"), "cycle": Mark(RED, "^", "--")}
APART = 0.05  # offset between series, in networks, so that their intervals do not overlap
FIXED = {
    "path": "agrees with the direct permutation",
    "cycle": "stays in place",
}  # what a unit does that is a fixed point


def barriers_by_length(barriers: pd.DataFrame) -> pd.DataFrame:
    """Return the spread of the barriers of one width and split by series, number of networks and risk.

    The series are `unaligned`, `path` and `cycle`; a direct alignment is a path of two networks.
    """
    chosen = barriers[barriers.kind.isin([Kind.UNALIGNED, Kind.DIRECT, Kind.COMPOSED])]
    paths = [
        list(networks if path is None else path)
        for networks, path in zip(chosen.networks, chosen.path, strict=True)
    ]
    closed = [path[0] == path[-1] for path in paths]
    named = chosen.assign(
        along=pd.Series(paths, chosen.index),
        networks_on_path=[len(set(path)) for path in paths],
        series=["cycle" if c else "path" for c in closed],
    )
    named.loc[named.kind == Kind.UNALIGNED, "series"] = Kind.UNALIGNED
    rows = []
    for (series, count), group in named.groupby(["series", "networks_on_path"]):
        for risk in UNITS:
            at = {"series": series, "networks": count, "risk": risk}
            rows.append({**at, **spread(group[f"{risk}_barrier"], _trials(group.along))})
    return pd.DataFrame(rows)


def fixed_points_by_length(agreements: pd.DataFrame) -> pd.DataFrame:
    """Return mean shares of fixed points by series (path or cycle) and number of networks."""
    rows = []
    chosen = agreements[agreements.kind.isin(FIXED)]
    for (series, count), group in chosen.groupby(["kind", chosen.networks.map(lambda n: len(set(n)))]):
        estimate = interval(group.fixed_points.tolist(), _trials(group.networks))
        rows.append({"series": series, "networks": count, **vars(estimate), "n": len(group)})
    return pd.DataFrame(rows, columns=["series", "networks", "mean", "low", "high", "n"])


def _trials(paths: pd.Series) -> list[list[str]]:
    return [sorted({trial_of(network) for network in path}) for path in paths]


def draw(means: pd.DataFrame, shares: pd.DataFrame, title: str, path: Path, split: str = Split.TEST) -> None:
    """Draw loss barriers, error barriers and fixed points against the number of networks."""
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.4), constrained_layout=True)
    for axis, risk in zip(axes, ("loss", "error"), strict=False):
        _lines(axis, means[means.risk == risk], {name: name for name in MARKS})
        axis.set_ylabel(f"{split} {risk} barrier ({UNITS[risk]})")
        axis.set_ylim(bottom=0)
    at_threshold(axes[1])
    _lines(axes[2], shares, {name: f"{name}: {what}" for name, what in FIXED.items()})
    axes[2].set_ylabel("fixed points (share of hidden units)")
    axes[2].set_ylim(0, None)
    headline(figure, f"{title}: permutations composed along paths and cycles\n(mean, {METHOD})")
    what = f"{split.capitalize()} barriers and fixed points of composed permutations by number of networks"
    counts = [*means.n, *shares.n]
    save(figure, path, caption(what, title, counts, "pairs, paths or cycles"))


def _lines(axis: Axes, rows: pd.DataFrame, names: dict[str, str]) -> None:
    for index, (series, name) in enumerate(names.items()):
        mark, line = MARKS[series], rows[rows.series == series].sort_values("networks")
        if len(line):
            label = f"{name} (n = {', '.join(map(str, line.n))})"
            axis.errorbar(
                line.networks + APART * index,
                line["mean"],
                [line["mean"] - line.low, line.high - line["mean"]],
                color=mark.colour,
                marker=mark.marker,
                linestyle=mark.line,
                capsize=3,
                label=label,
            )
    axis.set_xticks(sorted(rows.networks.unique()))
    axis.set_xlabel("networks on the path or cycle")
    axis.grid(alpha=0.25)
    axis.legend(frameon=False, fontsize=8)


def verdicts(means: pd.DataFrame, shares: pd.DataFrame) -> list[str]:
    """Return for every length whether compositions connect, and how far cycles are from the identity.

    Around a cycle a network is compared with itself, so that unaligned pairs are no baseline for it.
    """
    decided = decide(means, "series", ["risk"], without_baseline=["cycle"])
    composed = decided[decided.series != Kind.UNALIGNED].sort_values(["series", "networks"])
    sentences = [
        f"{row.series} of {row.networks}: mean error barrier at most {THRESHOLD}: "
        f"{in_words(row, 'cycles' if row.series == 'cycle' else 'paths')}"
        for row in list[Any](composed.itertuples())
    ]
    return sentences + [
        f"{row.series} of {row.networks}: fixed points ({FIXED[row.series]}) "
        f"{with_interval(row.mean, row.low, row.high)} (n = {row.n})"
        for row in list[Any](shares.sort_values(["series", "networks"]).itertuples())
    ]


def analyse(folder: Path) -> str:
    """Return tables and verdicts of a sweep as text; draw `figures/transitivity_*.png` in its folder."""
    agreements, trials = read_frame(folder, "agreements", OF_AGREEMENTS), read_frame(folder, "trials")
    chosen = read_dense_ends(folder, trials, "path", interpolation=Interpolation.PAIR)
    if not (chosen.kind == Kind.COMPOSED).any():
        return "transitivity: no composed permutations (compare.kinds)"
    parts = []
    for setting, rows in by_width(by_setting(chosen, trials)):
        own = agreements[(agreements.method == setting.method) & agreements.group.isin(rows.group)]
        means, shares = barriers_by_length(rows), fixed_points_by_length(own)
        path, split = folder / "figures" / f"transitivity_{setting.stem}.png", str(rows.split.iloc[0])
        draw(means, shares, setting.title, path, split)
        both = pd.concat([means, shares.assign(risk="fixed points")])
        table = wide_table(both, ["risk", "series"], "networks")
        head = (
            f"{setting.title}: mean {split} barrier of composed permutations, and fixed points, by networks"
        )
        errors = themselves(rows, trials)
        parts.append("\n".join([head, table.to_string(), *errors, *verdicts(means, shares)]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    command(__doc__, "transitivity_digits", analyse)
