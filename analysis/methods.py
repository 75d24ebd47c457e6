"""How do the methods of alignment compare: barriers, objective and time?"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt

from analysis.command import command
from analysis.figures.axes import legend
from analysis.figures.style import caption, headline, looks, save
from analysis.figures.width_panel import lines
from analysis.rows.members import ALIGNED, aligned_networks, members
from analysis.rows.quality import themselves
from analysis.rows.settings import by_networks, read_dense_ends
from analysis.statistics.deciding import BELOW
from analysis.statistics.jackknife import METHOD, NONE, Sample, interval, ratio
from analysis.statistics.relative import at_widths, beside_one, named_ends, side_of_one
from analysis.statistics.spread import UNITS, wide_table
from raysweep.tables.frames import read_frame
from raysweep.vocabulary import Interpolation, Kind

REFERENCE = "weight_matching"  # with which every other method is compared
LEARNED = "learned"  # which is compared with every other method
COLUMNS = ["kind", "width", "method", "risk", "mean", "low", "high", "reason", "n", "objective", "seconds"]
RATIOS = ["kind", "width", "risk", "method", "against", "ratio", "ratio_low", "ratio_high", "ratio_reason"]


def compared(barriers: pd.DataFrame) -> pd.DataFrame:
    """Return the aligned comparisons that methods share, with the column `kind` in words.

    They are pairs, pairs of several networks that were aligned jointly, and such networks mixed at once.
    """
    chosen = barriers[barriers.kind.isin([Kind.DIRECT, Kind.JOINT])]
    words = [_kind(row) for row in chosen.itertuples()]
    return chosen.assign(kind=words)[[bool(word) for word in words]]


def reference_of(methods: set[str]) -> str:
    """Return the method that the others are compared with: weight matching where it is there."""
    return REFERENCE if REFERENCE in methods else min(methods - {LEARNED} or methods)


def summarise(rows: pd.DataFrame, alignments: pd.DataFrame) -> pd.DataFrame:
    """Return means by kind, width, method and risk, with intervals over networks.

    `rows` are those of `compared`. `objective` and `seconds` are means over the alignments.
    """
    aligned, found = aligned_networks(alignments), []
    details = alignments.set_index("alignment_id")[["objective", "seconds"]]
    for (kind, width, method), group in rows.groupby(["kind", "width", "method"]):
        means = details.loc[group.alignments.explode().unique()].mean()
        at = {"kind": kind, "width": width, "method": method, "n": len(group), **means}
        for risk in UNITS:
            found.append({**at, "risk": risk, **vars(interval(*_sample(group, risk, aligned)))})
    return pd.DataFrame(found, columns=COLUMNS)


def ratios(rows: pd.DataFrame, alignments: pd.DataFrame) -> pd.DataFrame:
    """Return mean barriers of a method as multiples of those `against` another, by kind, width and risk.

    `rows` are those of `compared`. Every method is compared with the reference, and `learned` with every
    other one; each network is left out of both at once.
    """
    aligned, found = aligned_networks(alignments), []
    base = reference_of(set(rows.method))
    for (kind, width), same in rows.groupby(["kind", "width"]):
        groups = {str(method): group for method, group in same.groupby("method")}
        for method, against in _matches(groups, base):
            for risk in UNITS:
                samples = (_sample(groups[each], risk, aligned) for each in (method, against))
                at = {"kind": kind, "width": width, "risk": risk, "method": method, "against": against}
                found.append({**at, **named_ends("ratio", ratio(*samples))})
    return pd.DataFrame(found, columns=RATIOS)


def verdicts(found: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence for each kind, risk and two methods of `ratios`; then whether `learned` is lowest."""
    for (kind, method, against, risk), rows in found.groupby(["kind", "method", "against", "risk"]):
        why = f"the mean barrier of {_words(str(against))} is not positive"
        yield (
            f"{kind}, {_words(str(method))} against {_words(str(against))}, {risk} barrier: "
            f"{beside_one(rows, why)}"
        )
    for (kind, risk), rows in found[found.method == LEARNED].groupby(["kind", "risk"]):
        words = {int(str(width)): _lowest(each) for width, each in rows.groupby("width")}
        yield f"{kind}, learned against each other method, {risk} barrier: {at_widths(words)}"


def draw(summary: pd.DataFrame, title: str, path: Path, split: str) -> None:
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
            axis.set_ylabel(f"{split} {risk} barrier ({unit})")
        took = own[own.risk == "loss"].assign(mean=lambda rows: rows.seconds, low=NONE, high=NONE)
        lines(axes[2, column], took, marks)
        axes[2, column].set_ylabel("seconds of an alignment")
        axes[2, column].set_xlabel("width (hidden units)")
        axes[0, column].set_title(kind, fontsize=10)
    legend(figure, axes.ravel(), 3)
    headline(figure, f"{title}: methods of alignment\n(mean, {METHOD})")
    what = f"{split.capitalize()} barriers and seconds by method"
    save(figure, path, caption(what, title, summary.n, "comparisons"))


def analyse(folder: Path) -> str:
    """Return tables and verdicts of a sweep as text; draw `figures/methods_*.png` in its folder."""
    alignments = read_frame(folder, "alignments", (*ALIGNED, "objective", "seconds"))
    trials = read_frame(folder, "trials")
    ends = read_dense_ends(folder, trials, "alignments", "joint_networks")
    parts = []
    for setting, rows in by_networks(compared(ends), trials):
        if rows.method.nunique() < 2:
            only = ", ".join(map(_words, set(rows.method)))
            parts.append(f"methods: {setting.title}: one method alone ({only}); name others in align.methods")
            continue
        summary, beside = summarise(rows, alignments), ratios(rows, alignments)
        split = str(rows.split.iloc[0])
        draw(summary, setting.title, folder / "figures" / f"methods_{setting.stem}.png", split)
        head = f"{setting.title}, mean {split} barrier by width [95 % interval over networks]"
        costs = summary[summary.risk == "loss"].pivot(
            index=["kind", "method"], columns="width", values=["objective", "seconds"]
        )
        table = wide_table(summary, ["kind", "risk", "method"], "width").to_string()
        means = ["mean objective and seconds of an alignment", costs.round(3).to_string()]
        parts.append("\n".join([head, table, *means, *themselves(rows, trials), *verdicts(beside)]))
    return "\n\n".join(parts) or "methods: no aligned networks yet"


def _kind(row: Any) -> str:
    """Return the kind of a comparison in words; "" for one that belongs to another question."""
    joint = row.kind == Kind.JOINT
    if row.interpolation == Interpolation.PAIR:
        return f"pairs of {row.joint_networks:.0f} aligned jointly" if joint else "pairs"
    if row.interpolation == Interpolation.SIMPLEX and joint:
        return "three networks mixed at once"
    return ""


def _sample(rows: pd.DataFrame, risk: str, aligned: Mapping[str, list[str]]) -> Sample:
    return rows[f"{risk}_barrier"].tolist(), members(rows, aligned)


def _matches(methods: Collection[str], base: str) -> Iterator[tuple[str, str]]:
    """Yield the methods that are compared, each with what it is compared with."""
    for method in methods:
        if method != base and base in methods:
            yield method, base
        if method not in (LEARNED, base) and LEARNED in methods:
            yield LEARNED, method


def _lowest(rows: pd.DataFrame) -> str:
    """Return in words which methods a method is not below at one width, from its ratios to all others."""
    others = [_words(str(row.against)) for row in rows.itertuples() if side_of_one(row) != BELOW]
    return f"not below {' or '.join(others)}" if others else "below all of them"


def _words(method: str) -> str:
    return method.replace("_", " ")


if __name__ == "__main__":
    command(__doc__, "learned_digits", analyse)
