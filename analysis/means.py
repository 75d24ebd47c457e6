"""How does the excess risk of the mean of several networks grow with their number?"""

from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt

from analysis.command import command
from analysis.figures.axes import legend
from analysis.figures.marks import BLACK, ORANGE, RED, Mark
from analysis.figures.style import caption, headline, save
from analysis.figures.width_panel import lines
from analysis.rows.quality import themselves
from analysis.rows.settings import by_setting, read_dense_ends
from analysis.statistics.deciding import (
    HOLDS,
    NOT_INFORMATIVE,
    THRESHOLD,
    decide,
)
from analysis.statistics.jackknife import METHOD, ratio, with_interval
from analysis.statistics.relative import named_ends
from analysis.statistics.spread import UNITS, in_words, spread, wide_table
from raysweep.tables.frames import read_frame
from raysweep.tables.variants import trial_of
from raysweep.vocabulary import Interpolation, Kind, Split

MARKS: dict[str, Mark] = {
    Kind.UNALIGNED: Mark(BLACK, "o"),
    Kind.VIA: Mark(RED, "^"),
    Kind.JOINT: Mark(ORANGE, "v", "--"),
}


def by_number(barriers: pd.DataFrame) -> pd.DataFrame:
    """Return the spread of the excess risk of means, by width, kind, number of networks and risk.

    `growth`, with its interval, is the mean excess divided by that of means of two networks.
    """
    rows = []
    chosen = barriers.assign(
        number=barriers.mean_networks.astype(int),
        members=barriers.networks.map(lambda networks: [trial_of(network) for network in networks]),
    )
    for (width, kind), same in chosen.groupby(["width", "kind"]):
        for risk in UNITS:
            column = f"{risk}_barrier"
            two = _sample(same[same.number == 2], column)
            for number, group in same.groupby("number"):
                at = {"width": width, "kind": kind, "number": number, "risk": risk}
                growth = named_ends("growth", ratio(_sample(group, column), two))
                rows.append({**at, **spread(group[column], group.members.tolist()), **growth})
    return pd.DataFrame(rows)


def _sample(rows: pd.DataFrame, column: str) -> tuple[list[float], list[list[str]]]:
    return rows[column].tolist(), rows.members.tolist()


def draw(means: pd.DataFrame, title: str, path: Path, split: str = Split.TEST) -> None:
    """Draw a column for each width, with the error above the loss, against the number of networks."""
    widths = sorted(means.width.unique())
    size = (1 + 3.4 * max(2, len(widths)), 7.0)
    figure, axes = plt.subplots(
        2, len(widths), figsize=size, squeeze=False, sharey="row", layout="constrained"
    )
    shown = means.rename(columns={"number": "x", "kind": "series"})
    for column, width in enumerate(widths):
        for axis, (risk, unit) in zip(axes[:, column], UNITS.items(), strict=True):
            lines(axis, shown[(shown.width == width) & (shown.risk == risk)], MARKS, risk == "error")
            axis.set_ylabel(f"excess {split} {risk} ({unit})" if column == 0 else "")
        axes[0, column].set_title(f"width {width}", fontsize=10)
        axes[1, column].set_xlabel("networks in the mean")
    legend(figure, axes.flat, 4)
    headline(figure, f"{title}: mean of several networks\n(mean, {METHOD})")
    what = f"Excess {split} risk of the mean of several networks against their number, by width and alignment"
    save(figure, path, caption(what, title, means.n, "means"))


def decided(means: pd.DataFrame) -> pd.DataFrame:
    """Return the excess errors with their decisions; baselines are means of as many unaligned networks."""
    return decide(means, "kind", ["width", "number"])


def verdicts(means: pd.DataFrame, split: str = Split.TEST) -> list[str]:
    """Return for each width and kind up to how many networks the excess error is at most 0.02.

    A line for each number of networks follows, with the growth of the excess loss since the mean of two.
    """
    grown = {(row.width, row.kind, row.number): row for row in means[means.risk == "loss"].itertuples()}
    sentences = []
    for (width, kind), group in decided(means).groupby(["width", "kind"]):
        rows: list[Any] = list(group.sort_values("number").itertuples())
        lines = [
            f"  {row.number}: {in_words(row, 'means')}{_growth(grown[row.width, row.kind, row.number])}"
            for row in rows
        ]
        head = (
            f"width {width}, {kind}: mean excess {split} error of the mean at most {THRESHOLD}{_up_to(rows)}"
        )
        sentences.append("\n".join([head, *lines]))
    return sentences


def _up_to(rows: list[Any]) -> str:
    """Return up to how many networks the claim holds, skipping numbers that are not informative."""
    telling = [row for row in rows if row.state != NOT_INFORMATIVE]
    holding = [row.number for row in takewhile(lambda row: row.state == HOLDS, telling)]
    if not telling:
        return ": not informative"
    return f" up to {holding[-1]} networks" if holding else " for no number of networks"


def _growth(loss: Any) -> str:
    if loss.number == 2:
        return ""
    if pd.isna(loss.growth):
        return "; growth unknown, because the mean of 2 is missing or has no excess loss"
    return f"; excess loss {with_interval(loss.growth, loss.growth_low, loss.growth_high)} times that of 2"


def analyse(folder: Path) -> str:
    """Return tables and verdicts of a sweep as text; draw `figures/means_*.png` in its folder."""
    trials = read_frame(folder, "trials")
    chosen = read_dense_ends(folder, trials, "mean_networks", interpolation=Interpolation.MEAN)
    parts = []
    for setting, rows in by_setting(chosen, trials):
        means, title, split = by_number(rows), setting.title, str(rows.split.iloc[0])
        draw(means, title, folder / "figures" / f"means_{setting.stem}.png", split)
        loss = means[means.risk == "loss"]
        table = wide_table(loss, ["kind", "number"], "width")
        head = f"{title}: excess {split} loss of the mean (nats) [95 % interval over networks]"
        parts.append("\n".join([head, table.to_string(), *themselves(rows, trials), *verdicts(means, split)]))
    return "\n\n".join(parts) or "means: no means of networks (compare.mean_networks)"


if __name__ == "__main__":
    command(__doc__, "joint_digits", analyse)
