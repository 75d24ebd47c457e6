"""Is a narrow network connected with the part of a wide network that it is matched to?"""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt

from analysis.command import command
from analysis.figures.axes import legend
from analysis.figures.marks import Mark
from analysis.figures.style import caption, headline, looks, save
from analysis.figures.width_panel import lines
from analysis.rows.quality import themselves
from analysis.rows.settings import by_setting, ends, read_one_split
from analysis.statistics.deciding import THRESHOLD, decide
from analysis.statistics.jackknife import METHOD
from analysis.statistics.spread import UNITS, in_words, spread, wide_table
from raysweep.tables.frames import read_frame
from raysweep.tables.variants import trial_of
from raysweep.vocabulary import Interpolation, Kind, Split

KINDS = {Kind.EMBEDDED: Kind.EMBEDDED, Kind.DIRECT: Kind.EMBEDDED, Kind.UNALIGNED: Kind.UNALIGNED}


def summarise(barriers: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the spread of barriers by both widths, `alignment` (embedded or unaligned) and risk.

    `barriers` are those of one split. A direct alignment embeds networks of equal widths in each other.
    """
    width = trials.drop_duplicates("trial_id").set_index("trial_id").width
    chosen = barriers[barriers.kind.isin(KINDS) & (barriers.interpolation == Interpolation.PAIR)]
    members = [[trial_of(network) for network in networks] for networks in chosen.networks]
    widths = [sorted(width[trial] for trial in pair) for pair in members]
    named = chosen.assign(
        alignment=chosen.kind.map(KINDS),
        narrow=[pair[0] for pair in widths],
        wide=[pair[1] for pair in widths],
        members=pd.Series(members, chosen.index, dtype=object),
    )
    rows = []
    for (narrow, wide, alignment), group in named.groupby(["narrow", "wide", "alignment"]):
        for risk in UNITS:
            at = {"narrow": narrow, "wide": wide, "alignment": alignment, "risk": risk}
            rows.append({**at, **spread(group[f"{risk}_barrier"], group.members.tolist())})
    return pd.DataFrame(rows)


def verdicts(summary: pd.DataFrame) -> list[str]:
    """Return a sentence for each two widths: is the narrow network connected with part of the wide one?"""
    decided = decide(summary, "alignment", ["narrow", "wide"])
    embedded = decided[decided.alignment == Kind.EMBEDDED]
    return [
        f"width {row.narrow} in {row.wide}: mean error barrier at most {THRESHOLD}: {in_words(row)}"
        for row in list[Any](embedded.itertuples())
    ]


def draw(summary: pd.DataFrame, title: str, path: Path, split: str = Split.TEST) -> None:
    """Draw barriers against the width of the wide network, with a line for each narrow width."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.8), constrained_layout=True)
    marks, names = {}, []
    for narrow, look in looks(sorted(summary.narrow.unique())).items():
        marks[f"width {narrow} in wide"] = look
        marks[f"width {narrow}, unaligned"] = Mark(look.colour, look.marker, ":")
    for narrow, alignment in zip(summary.narrow, summary.alignment, strict=True):
        names.append(
            f"width {narrow} in wide" if alignment == Kind.EMBEDDED else f"width {narrow}, unaligned"
        )
    drawn = summary.assign(series=names, x=summary.wide)
    for axis, (risk, unit) in zip(axes, UNITS.items(), strict=True):
        lines(axis, drawn[drawn.risk == risk], marks, risk == "error")
        axis.set_xlabel("width of the wide network (hidden units)")
        axis.set_ylabel(f"{split} {risk} barrier ({unit})")
    legend(figure, axes, 4)
    headline(figure, f"{title}: narrow networks in wide ones\n(mean, {METHOD})")
    what = f"{split.capitalize()} barriers of narrow networks embedded in wide ones, against the wide width"
    save(figure, path, caption(what, title, summary.n, "pairs"))


def analyse(folder: Path) -> str:
    """Return tables and verdicts of a sweep as text; draw `figures/narrow_in_wide_*.png` in its folder."""
    barriers, trials = read_one_split(folder), read_frame(folder, "trials")
    if not (barriers.across == "widths").any():
        return "narrow in wide: no networks of several widths yet (compare.across)"
    parts = []
    within = barriers[barriers.across.isna() | (barriers.across == "widths")]
    for setting, rows in by_setting(ends(within, trials), trials):
        summary = summarise(rows, trials)
        split = str(rows.split.iloc[0])
        draw(summary, setting.title, folder / "figures" / f"narrow_in_wide_{setting.stem}.png", split)
        table = wide_table(summary, ["risk", "narrow", "alignment"], "wide")
        head = f"{setting.title}: mean {split} barrier of narrow networks in wide ones, by wide width"
        parts.append("\n".join([head, table.to_string(), *themselves(rows, trials), *verdicts(summary)]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    command(__doc__, "narrow_in_wide_digits", analyse)
