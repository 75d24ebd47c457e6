"""Is a joint alignment of several networks better than one through a reference? By width and number."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.bootstrap import Interval, interval, ratio
from analysis.command import command
from analysis.members import aligned_networks, members
from analysis.style import BLACK, BLUE, GREEN, ORANGE, PINK, RED, THRESHOLD, Mark, plt, save

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
    """Draw loss and error barriers against width on logarithmic axes, zero on the floor."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), constrained_layout=True)
    for axis, risk, unit in zip(axes, ("error", "loss"), ("share", "nats"), strict=True):
        chosen = summary[summary.risk == risk]
        positive = chosen["mean"][chosen["mean"] > 0]
        floor = positive.min() / 2 if len(positive) else 1e-4
        for kind, mark in MARKS.items():
            line = chosen[chosen.kind == kind].sort_values("width")
            if len(line):
                shown = line["mean"].clip(lower=floor)
                label = f"{kind} (n = {line.n.max()})"
                axis.plot(line.width, shown, mark.line, color=mark.colour, marker=mark.marker, label=label)
                low, high = line.low.clip(lower=floor), line.high.clip(lower=floor)
                axis.fill_between(line.width, low, high, color=mark.colour, alpha=0.13, linewidth=0)
        if risk == "error":
            axis.axhline(THRESHOLD, color="0.4", linestyle="--", linewidth=1)
            axis.annotate("0.02", (chosen.width.min(), THRESHOLD), va="bottom", color="0.3")
        widths = sorted(chosen.width.unique())
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_xticks(widths, [str(width) for width in widths])
        axis.set_xlabel("width (units of a layer)")
        axis.set_ylabel(f"test {risk} barrier of pairs ({unit})")
        axis.grid(alpha=0.25)
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
    barriers, alignments = pd.read_parquet(folder / "barriers"), pd.read_parquet(folder / "alignments")
    barriers = barriers[(barriers.level == 0) & (barriers.statistics == _statistics(barriers))]
    if not (barriers.kind == "joint").any():
        return "joint: no joint alignments (compare.kinds)"
    parts = []
    for (dataset, model, norm), group in barriers.groupby(["dataset", "model", "norm"]):
        title = f"{model} on {dataset}" + ("" if norm == "none" else f", norm {norm}")
        summary = summarise(group, alignments)
        name = "_".join(
            [str(model).replace(":", "_"), *([] if norm == "none" else [str(norm)]), str(dataset)]
        )
        draw(summary, title, folder / "figures" / f"joint_{name}.png")
        text = summary["mean"].map("{:.3f}".format)
        table = summary.assign(text=text).pivot_table(
            index=["risk", "kind"], columns="width", values="text", aggfunc="first"
        )
        parts.append("\n".join([f"{title}, mean test barrier of pairs by width", table.to_string()]))
        parts.append("\n".join(verdicts(summary)))
    return "\n\n".join(parts)


def _statistics(barriers: pd.DataFrame) -> str:
    return "recomputed" if (barriers.statistics == "recomputed").any() else "kept"


if __name__ == "__main__":
    command(__doc__, "joint_digits", analyse)
