"""Is a joint alignment of several networks better than one through a reference network?"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from analysis.command import command
from analysis.figures.axes import legend
from analysis.figures.marks import BLACK, BLUE, GREEN, ORANGE, PINK, RED, Mark
from analysis.figures.style import caption, headline, looks, save
from analysis.figures.width_panel import lines
from analysis.rows.members import ALIGNED, aligned_networks, members
from analysis.rows.quality import themselves
from analysis.rows.settings import by_setting, read_dense_ends
from analysis.statistics.jackknife import METHOD, interval, ratio
from analysis.statistics.relative import beside_one, named_ends
from analysis.statistics.spread import UNITS, wide_table
from raysweep.tables.frames import read_frame
from raysweep.vocabulary import Interpolation, Kind, Split

REFERENCED = {Kind.DIRECT: Mark(BLUE, "s"), Kind.VIA: Mark(RED, "^")}
JOINT = {  # by number of networks; other numbers get any look that is left
    3: Mark(ORANGE, "v", "--"),
    4: Mark(GREEN, "D", "--"),
    5: Mark(BLACK, "X", "--"),
    6: Mark(PINK, "P", "--"),
}
COLUMNS = ["width", "kind", "risk", "mean", "low", "high", "reason", "n"]
COLUMNS += ["ratio", "ratio_low", "ratio_high", "ratio_reason"]


def summarise(barriers: pd.DataFrame, alignments: pd.DataFrame) -> pd.DataFrame:
    """Return mean barriers of pairs by width and kind, and their ratios to `via`, with intervals.

    `barriers` are those of one split.
    """
    aligned = aligned_networks(alignments)
    pairs = barriers[
        (barriers.interpolation == Interpolation.PAIR)
        & barriers.kind.isin([Kind.DIRECT, Kind.VIA, Kind.JOINT])
    ]
    sizes = [f"joint, {n:.0f} networks" for n in pairs.joint_networks.astype(float)]
    named = pairs.assign(series=np.where(pairs.kind == Kind.JOINT, sizes, pairs.kind))
    rows = []
    for width, same in named.groupby("width"):
        for risk in ("loss", "error"):
            column = f"{risk}_barrier"
            via = same[same.series == Kind.VIA]
            base = (via[column].tolist(), members(via, aligned))
            for series, group in same.groupby("series"):
                values = (group[column].tolist(), members(group, aligned))
                at = {"width": width, "kind": series, "risk": risk, "n": len(group)}
                rows.append({**at, **vars(interval(*values)), **named_ends("ratio", ratio(values, base))})
    return pd.DataFrame(rows, columns=COLUMNS)


def marks(kinds: Iterable[str]) -> dict[str, Mark]:
    """Return the looks of the kinds: direct, via, then joint alignments by number of networks."""
    sizes = {int(kind.split()[1]): kind for kind in set(kinds) - set(REFERENCED)}
    own = REFERENCED | {sizes[size]: JOINT[size] for size in sorted(sizes) if size in JOINT}
    others = (sizes[size] for size in sorted(sizes) if size not in JOINT)
    return own | looks(others, taken=own.values())


def draw(summary: pd.DataFrame, title: str, path: Path, split: str = Split.TEST) -> None:
    """Draw loss and error barriers against width."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.8), constrained_layout=True)
    for axis, (risk, unit) in zip(axes, UNITS.items(), strict=True):
        chosen = summary[summary.risk == risk].rename(columns={"width": "x", "kind": "series"})
        lines(axis, chosen, marks(summary.kind), risk == "error")
        axis.set_xlabel("width (hidden units)")
        axis.set_ylabel(f"{split} {risk} barrier of pairs ({unit})")
    legend(figure, axes, 3)
    headline(figure, f"{title}: joint alignment against a reference\n(mean, {METHOD})")
    what = f"{split.capitalize()} barriers of pairs against width, by alignment"
    save(figure, path, caption(what, title, summary.n, "pairs"))


def verdicts(summary: pd.DataFrame) -> list[str]:
    """Return a sentence per number of networks: the ratio of its loss barrier to `via` at every width."""
    if not (summary.kind == Kind.VIA).any():
        return ["joint: no alignment through a reference beside it (compare.kinds: via)"]
    sentences = []
    loss = summary[(summary.risk == "loss") & summary.kind.str.startswith(Kind.JOINT)]
    for kind, group in loss.groupby("kind"):
        found = beside_one(group, "the mean loss barrier of via is not positive")
        sentences.append(f"{kind}: loss barrier against that of via: {found}")
    return sentences


def analyse(folder: Path) -> str:
    """Return tables and verdicts of a sweep as text; draw `figures/joint_*.png` in its folder."""
    alignments, trials = read_frame(folder, "alignments", ALIGNED), read_frame(folder, "trials")
    ends = read_dense_ends(folder, trials, "alignments", "joint_networks")
    parts = []
    for setting, rows in by_setting(ends, trials):
        if not (rows.kind == Kind.JOINT).any():
            continue
        summary = summarise(rows, alignments)
        split = str(rows.split.iloc[0])
        draw(summary, setting.title, folder / "figures" / f"joint_{setting.stem}.png", split)
        table = wide_table(summary, ["risk", "kind"], "width")
        head = f"{setting.title}, mean {split} barrier of pairs by width [95 % interval over networks]"
        parts.append("\n".join([head, table.to_string(), *themselves(rows, trials), *verdicts(summary)]))
    return "\n\n".join(parts) or "joint: no joint alignments (compare.kinds)"


if __name__ == "__main__":
    command(__doc__, "joint_digits", analyse)
