"""Do barriers fall with width? From the tables: a figure, a table, and from which width each claim holds."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.bootstrap import interval
from analysis.style import BLACK, BLUE, GREEN, RED, THRESHOLD, Mark, plt, save

# name: (interpolation, kind, column, look)
SERIES = {
    "unaligned": ("pair", "unaligned", "barrier", Mark(BLACK, "o")),
    "direct": ("pair", "direct", "barrier", Mark(BLUE, "s")),
    "via": ("pair", "via", "barrier", Mark(RED, "^")),
    "barycentre": ("simplex", "via", "centre", Mark(GREEN, "D")),
}


def summarise(barriers: pd.DataFrame) -> pd.DataFrame:
    """Return a row per split, risk, kind and width: mean, interval, maximum, share connected, n."""
    rows = []
    for name, (interpolation, kind, column, _) in SERIES.items():
        chosen = barriers[(barriers.interpolation == interpolation) & (barriers.kind == kind)]
        for (split, width), group in chosen.groupby(["split", "width"]):
            members = [
                [*networks, *([] if pd.isna(reference) else [reference])]
                for networks, reference in zip(group.networks, group.reference, strict=True)
            ]
            members = [sorted(set(each)) for each in members]
            for risk in ("loss", "error"):
                values = group[f"{risk}_{column}"].to_numpy()
                estimate = interval(values.tolist(), members)
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
    for kind in ("direct", "via", "barycentre"):
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
                line.width, shown, color=mark.colour, marker=mark.marker, label=f"{name} (n = {counts})"
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
    figure.suptitle(f"{title}: barrier against width (mean over comparisons, 95 % interval over networks)")
    save(figure, path)


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, write `figures/width_scaling.png` and return table and verdicts."""
    barriers = pd.read_parquet(folder / "barriers")
    if barriers.empty:
        return "width scaling: no barriers yet"
    parts = []
    for (dataset, model), group in barriers.groupby(["dataset", "model"]):
        summary = summarise(group)
        draw(summary, f"{model} on {dataset}", folder / "figures" / f"width_scaling_{model}_{dataset}.png")
        test = summary[summary.split == "test"]
        text = test["mean"].map("{:.3f}".format)
        table = test.assign(text=text).pivot_table(
            index=["risk", "kind"], columns="width", values="text", aggfunc="first", sort=False
        )
        header = f"{model} on {dataset}, mean test barrier by width"
        parts.append("\n".join([header, table.to_string(), *verdicts(summary)]))
    return "\n\n".join(parts)


def main() -> None:
    """`python -m analysis.width_scaling ROOT [--sweep NAME]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--sweep", default="quickstart")
    arguments = parser.parse_args()
    print(analyse(arguments.root / "sweeps" / arguments.sweep))


if __name__ == "__main__":
    main()
