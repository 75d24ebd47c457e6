"""How does the barrier of the mean of n networks grow with n? As they are, aligned to one, and jointly."""

from pathlib import Path

import pandas as pd

from analysis.bootstrap import interval, with_interval
from analysis.command import command
from analysis.members import trial_of
from analysis.panels import UNITS
from analysis.settings import by_setting, dense_ends
from analysis.style import BLACK, ORANGE, RED, THRESHOLD, Mark, plt, save

FLOOR = 1e-4  # excess risks at or below it are drawn here
MARKS = {"unaligned": Mark(BLACK, "o"), "via": Mark(RED, "^"), "joint": Mark(ORANGE, "v", "--")}


def by_number(barriers: pd.DataFrame) -> pd.DataFrame:
    """Return the mean excess risk at equal weights, with intervals, by width, kind, number and risk."""
    rows = []
    numbers = barriers.networks.map(len).rename("number")
    for (width, kind, number), group in barriers.groupby(["width", "kind", numbers]):
        members = [[trial_of(network) for network in networks] for networks in group.networks]
        for risk in UNITS:
            at = {"width": width, "kind": kind, "number": number, "risk": risk}
            estimate = interval(group[f"{risk}_barrier"].tolist(), members)
            rows.append({**at, **vars(estimate), "n": len(group)})
    return pd.DataFrame(rows)


def draw(means: pd.DataFrame, title: str, path: Path) -> None:
    """Draw a column per width: loss above, error below, against the number of networks."""
    widths = sorted(means.width.unique())
    figure, axes = plt.subplots(
        2,
        len(widths),
        figsize=(3.3 * len(widths) + 1, 6.4),
        squeeze=False,
        sharey="row",
        layout="constrained",
    )
    for column, width in enumerate(widths):
        for axis, risk in zip(axes[:, column], ("loss", "error"), strict=True):
            chosen = means[(means.width == width) & (means.risk == risk)]
            for kind, mark in MARKS.items():
                line = chosen[chosen.kind == kind].sort_values("number")
                axis.plot(
                    line.number,
                    line["mean"].clip(lower=FLOOR),
                    mark.line,
                    color=mark.colour,
                    marker=mark.marker,
                    label=kind,
                )
                axis.fill_between(
                    line.number,
                    line.low.clip(lower=FLOOR),
                    line.high.clip(lower=FLOOR),
                    color=mark.colour,
                    alpha=0.13,
                    linewidth=0,
                )
            axis.set_yscale("log")
            axis.set_xticks(sorted(chosen.number.unique()))
            axis.grid(alpha=0.25)
        axes[1, column].axhline(THRESHOLD, color="0.4", linestyle="--", linewidth=1)
        axes[0, column].set_title(f"width {width}, n = {_count(means[means.width == width])}", fontsize=9)
        axes[1, column].set_xlabel("networks in the mean")
    for axis, risk in zip(axes[:, 0], ("loss", "error"), strict=True):
        axis.set_ylabel(f"excess test {risk} ({UNITS[risk]})")
    last = means.number.max()
    axes[1, 0].annotate(str(THRESHOLD), (last, THRESHOLD), ha="right", va="bottom", color="0.3")
    axes[0, 0].legend(frameon=False, fontsize=8)
    figure.suptitle(f"{title}: mean of several networks\n(mean, 95 % interval over networks)", fontsize=11)
    save(figure, path)


def _count(means: pd.DataFrame) -> str:
    return f"{means.n.min()}-{means.n.max()}"


def verdicts(means: pd.DataFrame) -> list[str]:
    """Return a sentence per width: the excess error of the mean of most networks, by kind."""
    chosen = means[(means.risk == "error") & (means.number == means.number.max())]
    sentences = []
    for width, group in chosen.groupby("width"):
        parts = [f"{r.kind} {with_interval(r.mean, r.low, r.high)}" for r in group.itertuples()]
        number = group.number.iloc[0]
        sentences.append(
            f"width {width}: excess test error of the mean of {number} networks: {', '.join(parts)}"
        )
    return sentences


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, draw `figures/means_*.png` and return table and verdicts."""
    barriers, trials = pd.read_parquet(folder / "barriers"), pd.read_parquet(folder / "trials")
    chosen = dense_ends(barriers[(barriers.interpolation == "mean") & (barriers.split == "test")])
    parts = []
    for setting, rows in by_setting(chosen, trials):
        means, title = by_number(rows), setting.title
        draw(means, title, folder / "figures" / f"means_{setting.stem}.png")
        loss = means[means.risk == "loss"]
        table = loss.pivot_table(index=["kind", "number"], columns="width", values="mean")
        text = table.to_string(float_format="{:.3f}".format)
        parts.append("\n".join([f"{title}: excess loss of the mean", text, *verdicts(means)]))
    return "\n\n".join(parts) or "means: no means of networks (compare.mean_networks)"


if __name__ == "__main__":
    command(__doc__, "joint_digits", analyse)
