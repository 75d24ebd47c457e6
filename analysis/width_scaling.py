"""Do barriers fall with width? From the tables: a figure, a table, and from which width each claim holds."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.bootstrap import interval
from analysis.command import command
from analysis.members import aligned_networks, members
from analysis.style import BLACK, BLUE, GREEN, ORANGE, PINK, RED, THRESHOLD, Mark, plt, save

# name: (interpolation, kind, column, look)
SERIES = {
    "unaligned": ("pair", "unaligned", "barrier", Mark(BLACK, "o")),
    "direct": ("pair", "direct", "barrier", Mark(BLUE, "s")),
    "via": ("pair", "via", "barrier", Mark(RED, "^")),
    "joint": ("pair", "joint", "barrier", Mark(ORANGE, "v", "--")),
    "barycentre, via": ("simplex", "via", "centre", Mark(GREEN, "D")),
    "barycentre, joint": ("simplex", "joint", "centre", Mark(PINK, "P", "--")),
}
TRIPLE = 3
CLAIMS = tuple(name for name in SERIES if name != "unaligned")


def summarise(barriers: pd.DataFrame, alignments: pd.DataFrame) -> pd.DataFrame:
    """Return a row per split, risk, kind and width: mean, interval, maximum, share connected, n."""
    aligned = aligned_networks(alignments)
    rows = []
    for name, (interpolation, kind, column, _) in SERIES.items():
        chosen = barriers[(barriers.interpolation == interpolation) & (barriers.kind == kind)]
        if kind == "joint":  # three networks, beside `via`; alignments of more are another question
            chosen = chosen[[len(aligned[ids[0]]) == TRIPLE for ids in chosen.alignments]]
        for (split, width), group in chosen.groupby(["split", "width"]):
            depends = members(group, aligned)
            for risk in ("loss", "error"):
                values = group[f"{risk}_{column}"].to_numpy()
                estimate = interval(values.tolist(), depends)
                rows.append(
                    {
                        "split": split,
                        "risk": risk,
                        "kind": name,
                        "width": int(str(width)),
                        "mean": estimate.mean,
                        "low": estimate.low,
                        "high": estimate.high,
                        "maximum": values.max(),
                        "connected": (values <= THRESHOLD).mean(),
                        "n": len(values),
                    }
                )
    return pd.DataFrame(rows)


def verdicts(summary: pd.DataFrame, split: str = "test") -> list[str]:
    """Return a sentence per kind: from which width on its error barrier is at most 0.02."""
    errors = summary[(summary.split == split) & (summary.risk == "error")].set_index(["kind", "width"])
    sentences = []
    for kind in CLAIMS:
        if kind not in errors.index.get_level_values(0):
            continue
        states = {int(width): _state(errors, kind, int(width)) for width in errors.loc[kind].index}
        holds = None
        for width in sorted(states, reverse=True):
            if states[width] != "holds":
                break
            holds = width
        start = f"from width {holds} on" if holds else "at no measured width"
        detail = ", ".join(f"{width}: {state}" for width, state in sorted(states.items()))
        sentences.append(f"{kind}: error barrier at most {THRESHOLD} {start} ({detail})")
    return sentences


def _state(errors: pd.DataFrame, kind: str, width: int) -> str:
    unaligned = errors["mean"].get(("unaligned", width))
    if unaligned is not None and unaligned <= THRESHOLD:
        return "not informative"
    low, high = errors["low"][kind, width], errors["high"][kind, width]
    if np.isnan(high):
        return "undecided"
    if high <= THRESHOLD:
        return "holds"
    return "fails" if low > THRESHOLD else "undecided"


def draw(summary: pd.DataFrame, title: str, path: Path, split: str = "test") -> None:
    """Draw the barriers against width on logarithmic axes; values at or below zero lie on the floor."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), constrained_layout=True)
    for axis, risk, unit in zip(axes, ("error", "loss"), ("share", "nats"), strict=True):
        chosen = summary[(summary.split == split) & (summary.risk == risk)]
        positive = chosen["mean"][chosen["mean"] > 0]
        floor = positive.min() / 2 if len(positive) else 1e-4
        for name, (_, _, _, mark) in SERIES.items():
            line = chosen[chosen.kind == name].sort_values("width")
            if line.empty:
                continue
            shown = line["mean"].clip(lower=floor)
            counts = "-".join(map(str, sorted({line.n.min(), line.n.max()})))
            axis.plot(
                line.width,
                shown,
                color=mark.colour,
                marker=mark.marker,
                linestyle=mark.line,
                label=f"{name} (n = {counts})",
            )
            low, high = line.low.clip(lower=floor), line.high.clip(lower=floor)
            axis.fill_between(line.width, low, high, color=mark.colour, alpha=0.15, linewidth=0)
            censored = line["mean"] <= 0
            axis.plot(
                line.width[censored], shown[censored], "v", color=mark.colour, markersize=11, mfc="none"
            )
        if risk == "error":
            axis.axhline(THRESHOLD, color="0.4", linestyle="--", linewidth=1)
            axis.annotate("0.02", (chosen.width.min(), THRESHOLD), va="bottom", color="0.3")
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        widths = sorted(chosen.width.unique())
        axis.set_xticks(widths, [str(width) for width in widths])
        axis.set_xlabel("width (hidden units)")
        axis.set_ylabel(f"{split} {risk} barrier ({unit})")
        axis.grid(alpha=0.25)
    axes[0].legend(frameon=False)
    figure.suptitle(f"{title}: barrier against width (mean, 95 % interval over networks)")
    save(figure, path)


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, draw a figure per model and method, and return tables and verdicts."""
    barriers, alignments = pd.read_parquet(folder / "barriers"), pd.read_parquet(folder / "alignments")
    chosen = _dense_ends(barriers)
    if chosen.empty:
        return "width scaling: no barriers yet"
    parts = []
    for (dataset, model, norm), group in chosen.groupby(["dataset", "model", "norm"]):
        for method in sorted(group.method.dropna().unique()) or [None]:
            rows = group[group.method.isna() | (group.method == method)]
            name = "_".join(
                [str(model).replace(":", "_"), *([] if norm == "none" else [norm]), dataset]
                + ([method] if method not in (None, "weight_matching") else [])
            )
            title = f"{model} on {dataset}" + ("" if norm == "none" else f", norm {norm}")
            title += f", {str(method).replace('_', ' ')}" if method else ""
            summary = summarise(rows, alignments)
            draw(summary, title, folder / "figures" / f"width_scaling_{name}.png")
            parts.append(_report(title, summary))
    return "\n\n".join(parts)


def _dense_ends(barriers: pd.DataFrame) -> pd.DataFrame:
    """Networks as training left them; those with BatchNorm with statistics of their mixtures."""
    ends = barriers[
        (barriers.level == 0) & (barriers.step == barriers.groupby("group").step.transform("max"))
    ]
    recomputed = ends[ends.statistics == "recomputed"]
    return ends[(ends.statistics == "recomputed") | ~ends.group.isin(recomputed.group)]


def _report(title: str, summary: pd.DataFrame) -> str:
    test = summary[summary.split == "test"]
    text = test["mean"].map("{:.3f}".format)
    table = test.assign(text=text).pivot_table(
        index=["risk", "kind"], columns="width", values="text", aggfunc="first", sort=False
    )
    return "\n".join([f"{title}, mean test barrier by width", table.to_string(), *verdicts(summary)])


if __name__ == "__main__":
    command(__doc__, "quickstart", analyse)
