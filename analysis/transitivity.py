"""Are permutations transitive? Barriers and fixed points of their compositions along paths and cycles."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from analysis.bootstrap import interval
from analysis.command import command
from analysis.deciding import state
from analysis.members import trial_of
from analysis.panels import UNITS
from analysis.settings import by_setting, dense_ends
from analysis.style import BLACK, BLUE, RED, THRESHOLD, Mark, plt, save

MARKS = {"unaligned": Mark(BLACK, "o"), "path": Mark(BLUE, "s"), "cycle": Mark(RED, "^", "--")}
FIXED = {"path": "path: agrees with the direct permutation", "cycle": "cycle: stays in place"}


def barriers_by_length(barriers: pd.DataFrame) -> pd.DataFrame:
    """Return mean test barriers with intervals by width, series, number of networks and risk.

    Series: `unaligned` and `path` (a direct alignment is a path of two networks), and `cycle`.
    """
    chosen = barriers[barriers.kind.isin(["unaligned", "direct", "composed"])]
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
    named.loc[named.kind == "unaligned", "series"] = "unaligned"
    rows = []
    for (width, series, count), group in named.groupby(["width", "series", "networks_on_path"]):
        for risk in UNITS:
            estimate = interval(group[f"{risk}_barrier"].tolist(), _trials(group.along))
            at = {"width": width, "series": series, "networks": count, "risk": risk}
            rows.append({**at, **vars(estimate), "n": len(group)})
    return pd.DataFrame(rows)


def fixed_points_by_length(agreements: pd.DataFrame) -> pd.DataFrame:
    """Return mean shares of fixed points by width, series (path or cycle) and number of networks."""
    rows = []
    chosen = agreements[agreements.kind.isin(FIXED)]
    for (width, series, count), group in chosen.groupby(
        ["width", "kind", chosen.networks.map(lambda n: len(set(n)))]
    ):
        estimate = interval(group.fixed_points.tolist(), _trials(group.networks))
        rows.append({"width": width, "series": series, "networks": count, **vars(estimate), "n": len(group)})
    return pd.DataFrame(rows)


def _trials(paths: pd.Series) -> list[list[str]]:
    return [sorted({trial_of(network) for network in path}) for path in paths]


def draw(means: pd.DataFrame, shares: pd.DataFrame, title: str, path: Path) -> None:
    """Draw loss and error barriers and fixed points against the number of networks."""
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.4), constrained_layout=True)
    for axis, risk in zip(axes, ("loss", "error"), strict=False):
        _lines(axis, means[means.risk == risk], {name: name for name in MARKS})
        axis.set_ylabel(f"test {risk} barrier ({UNITS[risk]})")
        axis.set_ylim(bottom=0)
    axes[1].axhline(THRESHOLD, color="0.4", linestyle="--", linewidth=1)
    axes[1].annotate(str(THRESHOLD), (means.networks.max(), THRESHOLD), ha="right", va="bottom", color="0.3")
    _lines(axes[2], shares, FIXED)
    axes[2].set_ylabel("fixed points (share of hidden units)")
    axes[2].set_ylim(0, None)
    figure.suptitle(
        f"{title}: permutations composed along paths and cycles (mean, 95 % interval over networks)"
    )
    save(figure, path)


def _lines(axis: Axes, rows: pd.DataFrame, names: dict[str, str]) -> None:
    for series, name in names.items():
        mark, line = MARKS[series], rows[rows.series == series].sort_values("networks")
        if len(line):
            label = f"{name} (n = {', '.join(map(str, line.n))})"
            axis.errorbar(
                line.networks,
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
    """Say for every length whether compositions connect, and how far cycles are from the identity."""
    errors = means[means.risk == "error"]
    unaligned = errors[errors.series == "unaligned"]["mean"].mean()
    sentences = []
    for row in errors[errors.series != "unaligned"].sort_values(["series", "networks"]).itertuples():
        word = state(float(row.low), float(row.high), unaligned)  # type: ignore[arg-type]
        sentences.append(
            f"{row.series} of {row.networks}: error barrier {row.mean:.3f} [{row.low:.3f}, {row.high:.3f}], "
            f"threshold {THRESHOLD}: {word} (n = {row.n})"
        )
    for row in shares.sort_values(["series", "networks"]).itertuples():
        sentences.append(
            f"{row.series} of {row.networks}: fixed points {row.mean:.3f} [{row.low:.3f}, {row.high:.3f}]"
        )
    return sentences


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, draw `figures/transitivity_*.png` and return the verdicts."""
    names = ("barriers", "agreements", "trials")
    barriers, agreements, trials = (pd.read_parquet(folder / name) for name in names)
    chosen = dense_ends(barriers[(barriers.split == "test") & (barriers.interpolation == "pair")])
    if not (chosen.kind == "composed").any():
        return "transitivity: no composed permutations (compare.kinds)"
    parts = []
    for setting, rows in by_setting(chosen, trials):
        means = barriers_by_length(rows)
        shares = fixed_points_by_length(
            agreements[(agreements.method == setting.method) & agreements.group.isin(rows.group)]
        )
        for width in sorted(means.width.unique()):
            own = replace(setting, width=int(width))
            one, two = means[means.width == width], shares[shares.width == width]
            draw(one, two, own.title, folder / "figures" / f"transitivity_{own.stem}.png")
            parts.append("\n".join([f"{own.title}, composed permutations", *verdicts(one, two)]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    command(__doc__, "transitivity_digits", analyse)
