"""Do barriers fall with width? A figure, a table, from which width on each claim holds, and power laws."""

from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.command import command
from analysis.figures.style import BLACK, BLUE, GREEN, ORANGE, PINK, RED, Mark, headline, plt, save
from analysis.figures.width_panel import lines
from analysis.rows.members import aligned_networks, members
from analysis.rows.quality import themselves
from analysis.rows.settings import by_setting, dense_ends
from analysis.statistics.deciding import (
    HOLDS,
    NOT_INFORMATIVE,
    THRESHOLD,
    UNDECIDED,
    decide,
    with_reason,
)
from analysis.statistics.jackknife import METHOD
from analysis.statistics.power_law import PowerLaw, power_law
from analysis.statistics.spread import SPREAD, UNITS, in_words, spread, wide_table
from raysweep.vocabulary import Interpolation, Kind, Split

# name: (interpolation, kind, column, look)
SERIES = {
    Kind.UNALIGNED: (Interpolation.PAIR, Kind.UNALIGNED, "barrier", Mark(BLACK, "o")),
    Kind.DIRECT: (Interpolation.PAIR, Kind.DIRECT, "barrier", Mark(BLUE, "s")),
    Kind.VIA: (Interpolation.PAIR, Kind.VIA, "barrier", Mark(RED, "^")),
    Kind.JOINT: (Interpolation.PAIR, Kind.JOINT, "barrier", Mark(ORANGE, "v", "--")),
    "barycentre, via": (Interpolation.SIMPLEX, Kind.VIA, "centre", Mark(GREEN, "D")),
    "barycentre, joint": (Interpolation.SIMPLEX, Kind.JOINT, "centre", Mark(PINK, "P", "--")),
    "simplex, via": (Interpolation.SIMPLEX, Kind.VIA, "barrier", Mark(RED, "^")),
    "simplex, joint": (Interpolation.SIMPLEX, Kind.JOINT, "barrier", Mark(ORANGE, "v", "--")),
}
PANELS = {Interpolation.PAIR: "pairs of networks", Interpolation.SIMPLEX: "three networks at once"}
OF = {Interpolation.PAIR: "pairs", Interpolation.SIMPLEX: "triples"}
LEGEND = {"error": 2, "loss": 1}  # columns
NO_LAW = "no power law: fewer than three positive means"
TRIPLE = 3
CLAIMS = tuple(name for name in SERIES if name != Kind.UNALIGNED)
COLUMNS = ["split", "risk", "kind", "width", *SPREAD]


def samples(barriers: pd.DataFrame, alignments: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name and the rows of every series, with a column `members`."""
    aligned = aligned_networks(alignments)
    for name, (interpolation, kind, _, _) in SERIES.items():
        chosen = barriers[(barriers.interpolation == interpolation) & (barriers.kind == kind)]
        if kind == Kind.JOINT:  # three networks, beside `via`; alignments of more are another question
            chosen = chosen[chosen.joint_networks == TRIPLE]
        if len(chosen):
            yield name, chosen.assign(members=pd.Series(members(chosen, aligned), chosen.index))


def summarise(barriers: pd.DataFrame, alignments: pd.DataFrame) -> pd.DataFrame:
    """Return a row per split, risk, kind and width: mean, interval, maximum, share connected, n."""
    rows = []
    for name, chosen in samples(barriers, alignments):
        for (split, width), group in chosen.groupby(["split", "width"]):
            for risk in UNITS:
                at = {"split": split, "risk": risk, "kind": name, "width": int(str(width))}
                values = group[f"{risk}_{SERIES[name][2]}"]
                rows.append({**at, **spread(values, group.members.tolist())})
    return pd.DataFrame(rows, columns=COLUMNS)


def power_laws(
    barriers: pd.DataFrame, alignments: pd.DataFrame, split: str = Split.TEST
) -> dict[str, PowerLaw | None]:
    """Return, per series, how its mean loss barrier (nats) scales with width."""
    fitted = {}
    for name, chosen in samples(barriers[barriers.split == split], alignments):
        by_width = {
            int(str(width)): (group[f"loss_{SERIES[name][2]}"].tolist(), group.members.tolist())
            for width, group in chosen.groupby("width")
        }
        fitted[name] = power_law(by_width)
    return fitted


def decided(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the error barriers of the claims with `state` and `why`: what each says of its claim."""
    found = decide(summary, "kind", ["split", "width"])
    return found[found.kind != Kind.UNALIGNED]


def verdicts(summary: pd.DataFrame, split: str = Split.TEST) -> list[str]:
    """Return, per kind, from which width on its mean error barrier is at most 0.02, and a line per width."""
    claims = decided(summary[summary.split == split])
    sentences = []
    for kind in CLAIMS:
        rows: list[Any] = list(claims[claims.kind == kind].sort_values("width").itertuples())
        if rows:
            of = OF[SERIES[kind][0]]
            head = f"{kind}: mean error barrier at most {THRESHOLD} {_from(rows, of)}"
            sentences.append("\n".join([head, *(f"  {row.width}: {in_words(row, of)}" for row in rows)]))
    return sentences


def _from(rows: list[Any], of: str) -> str:
    """Say from which width on a claim holds, and name the widths that are undecided or not informative.

    It holds there and at every larger width that can tell: where networks are connected without any
    permutation nothing is held against it. `rows` are sorted by width.
    """
    upwards = [row for row in rows if row.state != NOT_INFORMATIVE]
    above = list(takewhile(lambda row: row.state == HOLDS, reversed(upwards)))
    below = [str(row.width) for row in upwards[: len(upwards) - len(above)] if row.state == HOLDS]
    words = ["from no measured width on"]
    if above:
        count = sum(row.n for row in above)
        share = sum(row.connected * row.n for row in above) / count
        largest = max(row.maximum for row in above)
        words = [
            f"from width {above[-1].width} on (maximum {largest:.3f}, {share:.0%} of {count} {of} connected)"
        ]
    words += [f"it holds at {', '.join(below)}"] if below else []
    by_word: dict[str, list[str]] = {}
    for row in rows:
        if row.state in (UNDECIDED, NOT_INFORMATIVE):
            by_word.setdefault(with_reason(row.state, row.why), []).append(str(row.width))
    return "; ".join([*words, *(f"{', '.join(at)} cannot tell ({word})" for word, at in by_word.items())])


def draw(
    summary: pd.DataFrame,
    laws: Mapping[str, PowerLaw | None],
    title: str,
    path: Path,
    split: str = Split.TEST,
) -> None:
    """Draw barriers of pairs, and excess risks of triples, against width; `panels.lines` says how.

    The losses have the lines and bands of their power laws.
    """
    shown = summary[summary.split == split].rename(columns={"width": "x", "kind": "series"})
    marks = {
        name: {series: look for series, (kind, _, _, look) in SERIES.items() if kind == interpolation}
        for interpolation, name in PANELS.items()
    }
    panels = [name for name, looks in marks.items() if shown.series.isin(looks).any()]
    figure, axes = plt.subplots(
        len(panels), 2, figsize=(10, 5.2 * len(panels)), layout="constrained", sharey="col", squeeze=False
    )
    for row, name in zip(axes, panels, strict=True):
        chosen = shown[shown.series.isin(marks[name])]
        for axis, (risk, unit) in zip(row, UNITS.items(), strict=True):
            lines(
                axis,
                chosen[chosen.risk == risk],
                marks[name],
                risk == "error",
                laws if risk == "loss" else None,
            )
            axis.set_title(name)
            axis.set_xlabel("width (hidden units)")
            axis.set_ylabel(f"{split} {risk} barrier ({unit})")
            axis.legend(
                frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=LEGEND[risk]
            )
    headline(figure, f"{title}: barrier against width\n(mean, {METHOD}; losses with power laws)")
    save(figure, path)


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, draw a figure per model and method, and return tables and verdicts."""
    barriers, alignments, trials = (
        pd.read_parquet(folder / name) for name in ("barriers", "alignments", "trials")
    )
    parts = []
    for setting, rows in by_setting(dense_ends(barriers), trials):
        summary, laws = summarise(rows, alignments), power_laws(rows, alignments)
        draw(summary, laws, setting.title, folder / "figures" / f"width_scaling_{setting.stem}.png")
        fits = [f"loss barrier of {name} ~ {law or NO_LAW}" for name, law in laws.items()]
        table, errors = _table(setting.title, summary), themselves(rows, trials)
        parts.append("\n".join([table, *errors, *verdicts(summary), *fits]))
    return "\n\n".join(parts) or "width scaling: no barriers yet"


def _table(title: str, summary: pd.DataFrame) -> str:
    test = summary[summary.split == Split.TEST]
    table = wide_table(test, ["risk", "kind"], "width", sort=False)
    head = f"{title}, mean test barrier by width [95 % interval over networks]"
    return "\n".join([head, table.to_string()])


if __name__ == "__main__":
    command(__doc__, "quickstart", analyse)
