"""Do barriers fall with width, and from which width on does each claim hold?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.command import command
from analysis.figures.marks import BLACK, BLUE, GREEN, ORANGE, PINK, RED, Mark
from analysis.rows.members import ALIGNED, aligned_networks, members
from analysis.rows.quality import themselves
from analysis.rows.settings import by_setting, read_dense_ends
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
from raysweep.tables.frames import read_frame
from raysweep.vocabulary import Interpolation, Kind, Split


@dataclass(frozen=True)
class Series:
    """The rows and the column of a series (`centre` is the excess at equal weights), and its look."""

    interpolation: Interpolation
    kind: Kind
    column: str
    mark: Mark


SERIES: dict[str, Series] = {
    Kind.UNALIGNED: Series(Interpolation.PAIR, Kind.UNALIGNED, "barrier", Mark(BLACK, "o")),
    Kind.DIRECT: Series(Interpolation.PAIR, Kind.DIRECT, "barrier", Mark(BLUE, "s")),
    Kind.VIA: Series(Interpolation.PAIR, Kind.VIA, "barrier", Mark(RED, "^")),
    Kind.JOINT: Series(Interpolation.PAIR, Kind.JOINT, "barrier", Mark(ORANGE, "v", "--")),
    "barycentre, via": Series(Interpolation.SIMPLEX, Kind.VIA, "centre", Mark(GREEN, "D")),
    "barycentre, joint": Series(Interpolation.SIMPLEX, Kind.JOINT, "centre", Mark(PINK, "P", "--")),
    "simplex, via": Series(Interpolation.SIMPLEX, Kind.VIA, "barrier", Mark(RED, "^")),
    "simplex, joint": Series(Interpolation.SIMPLEX, Kind.JOINT, "barrier", Mark(ORANGE, "v", "--")),
}
PANELS = {Interpolation.PAIR: "pairs of networks", Interpolation.SIMPLEX: "three networks at once"}
OF = {Interpolation.PAIR: "pairs", Interpolation.SIMPLEX: "triples"}
LEGEND = {"error": 2, "loss": 1}  # columns of the legend
NO_LAW = "no power law: fewer than three positive means"
TRIPLE = 3
CLAIMS = tuple(name for name in SERIES if name != Kind.UNALIGNED)
COLUMNS = ["split", "risk", "kind", "width", *SPREAD]


def samples(barriers: pd.DataFrame, alignments: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name and the rows of every series, with what is summarised of them and their `members`."""
    aligned = aligned_networks(alignments)
    for name, series in SERIES.items():
        chosen = (barriers.interpolation == series.interpolation) & (barriers.kind == series.kind)
        if series.kind == Kind.JOINT:  # those of three networks, as `via`; more are the question of `joint`
            chosen &= barriers.joint_networks == TRIPLE
        if chosen.any():
            risks = (f"{risk}_{series.column}" for risk in UNITS)
            rows = barriers.loc[chosen, ["split", "width", *risks, "networks", "alignments"]]
            yield name, rows.assign(members=pd.Series(members(rows, aligned), rows.index))


def summarise(barriers: pd.DataFrame, alignments: pd.DataFrame) -> pd.DataFrame:
    """Return the spread of the barriers for each split, risk, kind and width."""
    rows = []
    for name, chosen in samples(barriers, alignments):
        for (split, width), group in chosen.groupby(["split", "width"]):
            for risk in UNITS:
                at = {"split": split, "risk": risk, "kind": name, "width": int(str(width))}
                values = group[f"{risk}_{SERIES[name].column}"]
                rows.append({**at, **spread(values, group.members.tolist())})
    return pd.DataFrame(rows, columns=COLUMNS)


def power_laws(
    barriers: pd.DataFrame, alignments: pd.DataFrame, split: str = Split.TEST
) -> dict[str, PowerLaw | None]:
    """Return for each series the power law of its mean loss barrier (nats) in the width, if there is one."""
    fitted = {}
    for name, chosen in samples(barriers[barriers.split == split], alignments):
        by_width = {
            int(str(width)): (group[f"loss_{SERIES[name].column}"].tolist(), group.members.tolist())
            for width, group in chosen.groupby("width")
        }
        fitted[name] = power_law(by_width)
    return fitted


def decided(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the error barriers of all kinds except `unaligned`, with their decisions."""
    found = decide(summary, "kind", ["split", "width"])
    return found[found.kind != Kind.UNALIGNED]


def verdicts(summary: pd.DataFrame, split: str = Split.TEST) -> list[str]:
    """Return for each kind from which width on its claim holds, and the decision at every width."""
    claims = decided(summary[summary.split == split])
    sentences = []
    for kind in CLAIMS:
        rows: list[Any] = list(claims[claims.kind == kind].sort_values("width").itertuples())
        if rows:
            of = OF[SERIES[kind].interpolation]
            head = f"{kind}: mean error barrier at most {THRESHOLD} {_from(rows, of)}"
            sentences.append("\n".join([head, *(f"  {row.width}: {in_words(row, of)}" for row in rows)]))
    return sentences


def _from(rows: list[Any], of: str) -> str:
    """Return from which width on a claim holds, and the widths that are undecided or not informative.

    It holds at that width and at every larger one that is informative. `rows` are sorted by width.
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
            by_word.setdefault(with_reason(row.state, row.reason), []).append(str(row.width))
    return "; ".join(
        [*words, *(f"nothing is decided at {', '.join(at)} ({word})" for word, at in by_word.items())]
    )


def draw(
    summary: pd.DataFrame,
    laws: Mapping[str, PowerLaw | None],
    title: str,
    path: Path,
    split: str = Split.TEST,
) -> None:
    """Draw barriers of pairs, and excess risks of triples, against width; losses with power laws."""
    from matplotlib import pyplot as plt

    from analysis.figures.style import caption, headline, save
    from analysis.figures.width_panel import lines

    shown = summary[summary.split == split].rename(columns={"width": "x", "kind": "series"})
    marks = {
        name: {key: series.mark for key, series in SERIES.items() if series.interpolation == interpolation}
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
    what = f"{split.capitalize()} barriers of pairs and triples against width, losses with power laws"
    save(figure, path, caption(what, title, shown.n, "pairs or triples"))


def analyse(folder: Path) -> str:
    """Return tables and verdicts of a sweep as text; draw `figures/width_scaling_*.png` in its folder."""
    alignments, trials = read_frame(folder, "alignments", ALIGNED), read_frame(folder, "trials")
    ends = read_dense_ends(folder, trials, "alignments", "joint_networks", "loss_centre", "error_centre")
    parts = []
    for setting, rows in by_setting(ends, trials):
        split, summary = str(rows.split.iloc[0]), summarise(rows, alignments)
        if summary.empty:  # all were aligned along paths, or jointly with more networks
            continue
        laws = power_laws(rows, alignments, split)
        draw(summary, laws, setting.title, folder / "figures" / f"width_scaling_{setting.stem}.png", split)
        fits = [f"loss barrier of {name} ~ {law or NO_LAW}" for name, law in laws.items()]
        table, errors = _table(setting.title, summary, split), themselves(rows, trials)
        parts.append("\n".join([table, *errors, *verdicts(summary, split), *fits]))
    return "\n\n".join(parts) or "width scaling: no barriers yet"


def _table(title: str, summary: pd.DataFrame, split: str) -> str:
    table = wide_table(summary[summary.split == split], ["risk", "kind"], "width", sort=False)
    head = f"{title}, mean {split} barrier by width [95 % interval over networks]"
    return "\n".join([head, table.to_string()])


if __name__ == "__main__":
    command(__doc__, "quickstart", analyse)
