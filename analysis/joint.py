"""Is a joint alignment of several networks better than one through a reference? By width and number."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.bootstrap import Interval, interval, ratio
from analysis.command import command
from analysis.members import aligned_networks, members
from analysis.panels import UNITS, lines
from analysis.settings import by_setting, dense_ends
from analysis.style import BLACK, BLUE, GREEN, ORANGE, PINK, RED, Mark, plt, save

MARKS = {
    "direct": Mark(BLUE, "s"),
    "via": Mark(RED, "^"),
    "joint, 3 networks": Mark(ORANGE, "v", "--"),
    "joint, 4 networks": Mark(GREEN, "D", "--"),
    "joint, 5 networks": Mark(BLACK, "X", "--"),
    "joint, 6 networks": Mark(PINK, "P", "--"),
}
COLUMNS = ["width", "kind", "risk", "mean", "low", "high", "n", "ratio", "ratio_low", "ratio_high"]


def summarise(barriers: pd.DataFrame, alignments: pd.DataFrame) -> pd.DataFrame:
    """Return mean test barriers of pairs by width and kind, and their ratio to `via`, with intervals."""
    aligned = aligned_networks(alignments)
    pairs = barriers[
        (barriers.split == "test")
        & (barriers.interpolation == "pair")
        & barriers.kind.isin(["direct", "via", "joint"])
    ]
    sizes = [len(aligned[ids[0]]) for ids in pairs.alignments]
    joint = pairs.kind == "joint"
    named = pairs.assign(series=np.where(joint, [f"joint, {n} networks" for n in sizes], pairs.kind))
    rows = []
    for width, same in named.groupby("width"):
        for risk in ("loss", "error"):
            column = f"{risk}_barrier"
            via = same[same.series == "via"]
            base = (via[column].tolist(), members(via, aligned))
            for series, group in same.groupby("series"):
                values = (group[column].tolist(), members(group, aligned))
                mean, share = interval(*values), _ratio(values, base)
                ends = (*vars(mean).values(), len(group), *vars(share).values())
                rows.append(dict(zip(COLUMNS, (width, series, risk, *ends), strict=True)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _ratio(
    values: tuple[list[float], list[list[str]]], base: tuple[list[float], list[list[str]]]
) -> Interval:
    nothing = float("nan")
    return ratio(values, base) if base[0] and np.mean(base[0]) > 0 else Interval(nothing, nothing, nothing)


def draw(summary: pd.DataFrame, title: str, path: Path) -> None:
    """Draw loss and error barriers against width; `panels.lines` says how."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), constrained_layout=True)
    for axis, (risk, unit) in zip(axes, UNITS.items(), strict=True):
        chosen = summary[summary.risk == risk].rename(columns={"width": "x", "kind": "series"})
        lines(axis, chosen, MARKS, risk == "error")
        axis.set_xlabel("width (units of a layer)")
        axis.set_ylabel(f"test {risk} barrier of pairs ({unit})")
    axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(f"{title}: joint alignment against a reference (mean, 95 % interval over networks)")
    save(figure, path)


def verdicts(summary: pd.DataFrame) -> list[str]:
    """Return a sentence per number of networks: the ratio of its loss barrier to `via` at every width."""
    sentences = []
    loss = summary[(summary.risk == "loss") & summary.kind.str.startswith("joint")]
    for kind, group in loss.groupby("kind"):
        parts = [
            f"{row.width}: {row.ratio:.2f} [{row.ratio_low:.2f}, {row.ratio_high:.2f}]"
            for row in group.sort_values("width").itertuples()
        ]
        below = (group.ratio_high < 1).all()
        word = "below" if below else "not everywhere below"
        sentences.append(f"{kind}: loss barrier {word} that of via; ratio by width {', '.join(parts)}")
    return sentences


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, write `figures/joint_*.png` and return table and verdicts."""
    barriers, alignments, trials = (
        pd.read_parquet(folder / name) for name in ("barriers", "alignments", "trials")
    )
    parts = []
    for setting, rows in by_setting(dense_ends(barriers), trials):
        if not (rows.kind == "joint").any():
            continue
        summary = summarise(rows, alignments)
        draw(summary, setting.title, folder / "figures" / f"joint_{setting.stem}.png")
        text = summary["mean"].map("{:.3f}".format)
        table = summary.assign(text=text).pivot_table(
            index=["risk", "kind"], columns="width", values="text", aggfunc="first"
        )
        parts.append("\n".join([f"{setting.title}, mean test barrier of pairs by width", table.to_string()]))
        parts.append("\n".join(verdicts(summary)))
    return "\n\n".join(parts) or "joint: no joint alignments (compare.kinds)"


if __name__ == "__main__":
    command(__doc__, "joint_digits", analyse)
