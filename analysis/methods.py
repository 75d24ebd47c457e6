"""How do the methods of alignment compare: barriers, objective and time?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt

from analysis.command import command
from analysis.figures.axes import legend
from analysis.figures.style import caption, headline, looks, save
from analysis.figures.width_panel import lines
from analysis.rows.members import aligned_networks, members
from analysis.rows.quality import themselves
from analysis.rows.settings import by_networks, dense_ends
from analysis.statistics.jackknife import METHOD, NONE, interval, ratio
from analysis.statistics.relative import beside_one, named_ends
from analysis.statistics.spread import UNITS, wide_table
from raysweep.vocabulary import Interpolation, Kind, Split

REFERENCE = "weight_matching"
COLUMNS = ["kind", "width", "method", "risk", "mean", "low", "high", "reason", "n"]
COLUMNS += ["ratio", "ratio_low", "ratio_high", "ratio_reason", "objective", "seconds"]


def compared(barriers: pd.DataFrame) -> pd.DataFrame:
    """Return the aligned comparisons that methods share, with the column `kind` in words.

    They are pairs, pairs of several networks that were aligned jointly, and such networks mixed at once, on
    the test set where it was measured.
    """
    split = Split.TEST if (barriers.split == Split.TEST).any() else Split.TRAIN
    chosen = barriers[(barriers.split == split) & barriers.kind.isin([Kind.DIRECT, Kind.JOINT])]
    words = [_kind(row) for row in chosen.itertuples()]
    return chosen.assign(kind=words)[[bool(word) for word in words]]


def reference_of(methods: set[str]) -> str:
    """Return the method that the others are compared with: weight matching where it is there."""
    return REFERENCE if REFERENCE in methods else min(methods)


def summarise(rows: pd.DataFrame, alignments: pd.DataFrame) -> pd.DataFrame:
    """Return means by kind, width, method and risk, with intervals over networks.

    `rows` are those of `compared`. `ratio` is the mean barrier as a multiple of that of the reference method,
    each network left out of both at once. `objective` and `seconds` are means over the alignments.
    """
    aligned, found = aligned_networks(alignments), []
    details = alignments.set_index("alignment_id")[["objective", "seconds"]]
    base_method = reference_of(set(rows.method))
    for (kind, width), same in rows.groupby(["kind", "width"]):
        base = same[same.method == base_method]
        for method, group in same.groupby("method"):
            means = details.loc[group.alignments.explode().unique()].mean()
            at = {"kind": kind, "width": width, "method": method, "n": len(group), **means}
            for risk in UNITS:
                values, others = (
                    (each[f"{risk}_barrier"].tolist(), members(each, aligned)) for each in (group, base)
                )
                ends = named_ends("ratio", ratio(values, others))
                found.append({**at, "risk": risk, **vars(interval(*values)), **ends})
    return pd.DataFrame(found, columns=COLUMNS)


def verdicts(summary: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence for each kind, method and risk beside the reference method."""
    base = reference_of(set(summary.method))
    why = f"the mean barrier of {_words(base)} is not positive"
    for (kind, method, risk), rows in summary[summary.method != base].groupby(["kind", "method", "risk"]):
        yield f"{kind}, {_words(str(method))} against {_words(base)}, {risk} barrier: {beside_one(rows, why)}"


def draw(summary: pd.DataFrame, title: str, path: Path) -> None:
    """Draw barriers and seconds against width: a column of panels for each kind, a line for each method."""
    kinds = list(dict.fromkeys(summary.kind))
    marks = looks(_words(method) for method in sorted(set(summary.method)))
    size = (4.6 * len(kinds) + 0.6, 11)
    figure, axes = plt.subplots(
        3, len(kinds), figsize=size, sharey="row", squeeze=False, constrained_layout=True
    )
    named = summary.assign(x=summary.width, series=summary.method.map(_words))
    for column, kind in enumerate(kinds):
        own = named[named.kind == kind]
        for axis, (risk, unit) in zip(axes[:, column], UNITS.items(), strict=False):
            lines(axis, own[own.risk == risk], marks, risk == "error")
            axis.set_ylabel(f"{risk} barrier ({unit})")
        took = own[own.risk == "loss"].assign(mean=lambda rows: rows.seconds, low=NONE, high=NONE)
        lines(axes[2, column], took, marks)
        axes[2, column].set_ylabel("seconds of an alignment")
        axes[2, column].set_xlabel("width (hidden units)")
        axes[0, column].set_title(kind, fontsize=10)
    legend(figure, axes.ravel(), 3)
    headline(figure, f"{title}: methods of alignment\n(mean, {METHOD})")
    save(figure, path, caption("Barriers and seconds by method", title, summary.n, "comparisons"))


def analyse(folder: Path) -> str:
    """Return tables and verdicts of a sweep as text; draw `figures/methods_*.png` in its folder."""
    barriers, alignments, trials = (
        pd.read_parquet(folder / name) for name in ("barriers", "alignments", "trials")
    )
    parts = []
    for setting, rows in by_networks(compared(dense_ends(barriers)), trials):
        if rows.method.nunique() < 2:
            only = ", ".join(map(_words, set(rows.method)))
            parts.append(f"methods: {setting.title}: one method alone ({only}); name others in align.methods")
            continue
        summary = summarise(rows, alignments)
        draw(summary, setting.title, folder / "figures" / f"methods_{setting.stem}.png")
        head = f"{setting.title}, mean barrier by width [95 % interval over networks]"
        costs = summary[summary.risk == "loss"].pivot(
            index=["kind", "method"], columns="width", values=["objective", "seconds"]
        )
        table = wide_table(summary, ["kind", "risk", "method"], "width").to_string()
        means = ["mean objective and seconds of an alignment", costs.round(3).to_string()]
        parts.append("\n".join([head, table, *means, *themselves(rows, trials), *verdicts(summary)]))
    return "\n\n".join(parts) or "methods: no aligned networks yet"


def _kind(row: Any) -> str:
    """Return the kind of a comparison in words; "" for one that belongs to another question."""
    joint = row.kind == Kind.JOINT
    if row.interpolation == Interpolation.PAIR:
        return f"pairs of {row.joint_networks:.0f} aligned jointly" if joint else "pairs"
    if row.interpolation == Interpolation.SIMPLEX and joint:
        return "three networks mixed at once"
    return ""


def _words(method: str) -> str:
    return method.replace("_", " ")


if __name__ == "__main__":
    command(__doc__, "learned_digits", analyse)
