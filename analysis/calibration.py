"""How much of the loss of a midpoint is a matter of the softmax temperature (Ito et al. 2025)?"""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.command import command
from analysis.figures.axes import legend
from analysis.figures.marks import BLACK, BLUE, RED, Mark
from analysis.figures.style import caption, headline, save
from analysis.figures.width_panel import lines
from analysis.rows.members import ALIGNED, aligned_networks, members
from analysis.rows.quality import themselves
from analysis.rows.settings import by_setting, read_dense_ends
from analysis.statistics.jackknife import METHOD, interval, ratio, with_interval
from analysis.statistics.relative import beside_one, named_ends, side_of_one
from analysis.statistics.spread import wide_table
from raysweep.tables.frames import read_frame
from raysweep.vocabulary import Interpolation, Kind, Split

CALIBRATED, ENSEMBLE = "calibrated", "ensemble"
MEASURES = {CALIBRATED: "calibrated_loss", ENSEMBLE: "ensemble"}
COLOURS = {Kind.UNALIGNED: (BLACK, "o"), Kind.DIRECT: (BLUE, "s"), Kind.VIA: (RED, "^")}
MARKS: dict[str, Mark] = {
    **{kind: Mark(*look) for kind, look in COLOURS.items()},
    **{f"{kind}, {CALIBRATED}": Mark(*look, "--") for kind, look in COLOURS.items()},
}
COLUMNS = ["width", "kind", "series", "mean", "low", "high", "reason", "n"]
COLUMNS += ["ratio", "ratio_low", "ratio_high", "ratio_reason"]


def midpoints(barriers: pd.DataFrame, measures: pd.DataFrame) -> pd.DataFrame:
    """Return the barriers of pairs with their excess losses at the midpoint (nats), as columns.

    They are `loss_centre`, `calibrated` (at fitted temperatures) and `ensemble` (NaN where it was not
    measured). Pairs whose calibrated loss was not measured are left out.
    """
    pairs = barriers[(barriers.interpolation == Interpolation.PAIR) & barriers.kind.isin(list(COLOURS))]
    loss = measures[measures.part.isna() | (measures.part == "loss")]
    for name, measure in MEASURES.items():
        own = loss[loss.measure == measure].set_index(["barrier_id", "split"]).centre_excess.rename(name)
        pairs = pairs.join(own, on=["barrier_id", "split"])
    return pairs[pairs[CALIBRATED].notna()]


def summarise(pairs: pd.DataFrame, alignments: pd.DataFrame) -> pd.DataFrame:
    """Return the mean excess loss at the midpoint by width and series, with intervals over networks.

    A series is a kind of alignment, `kind, calibrated`, or `ensemble`, which depends on no alignment. `ratio`
    is the calibrated mean divided by the plain one.
    """
    aligned, rows = aligned_networks(alignments), []
    for (width, kind), group in pairs.groupby(["width", "kind"]):
        at, own = {"width": width, "kind": kind, "n": len(group)}, members(group, aligned)
        plain, calibrated = ((group[name].tolist(), own) for name in ("loss_centre", CALIBRATED))
        rows.append({**at, "series": kind, **vars(interval(*plain))})
        found = named_ends("ratio", ratio(calibrated, plain))
        rows.append({**at, "series": f"{kind}, {CALIBRATED}", **vars(interval(*calibrated)), **found})
        if kind == Kind.UNALIGNED and group[ENSEMBLE].notna().all():
            found = vars(interval(group[ENSEMBLE].tolist(), own))
            rows.append({**at, "series": ENSEMBLE, **found})
    return pd.DataFrame(rows, columns=COLUMNS)


def trends(pairs: pd.DataFrame, alignments: pd.DataFrame) -> pd.DataFrame:
    """Return by series the mean excess loss at the largest width, divided by that at the smallest."""
    aligned, rows = aligned_networks(alignments), []
    narrow, wide = pairs.width.min(), pairs.width.max()
    for kind, same in pairs.groupby("kind"):
        own = {width: members(group, aligned) for width, group in same.groupby("width")}
        if narrow == wide or not own.keys() >= {narrow, wide}:
            continue
        for column, series in (("loss_centre", kind), (CALIBRATED, f"{kind}, {CALIBRATED}")):
            below, above = ((same[same.width == at][column].tolist(), own[at]) for at in (narrow, wide))
            found = named_ends("ratio", ratio(above, below))
            rows.append({"series": series, "narrow": narrow, "wide": wide, **found})
    return pd.DataFrame(rows, columns=["series", "narrow", "wide", *COLUMNS[-4:]])


def draw(summary: pd.DataFrame, title: str, path: Path, split: str = Split.TEST) -> None:
    """Draw the excess loss at the midpoint, and the share of it that calibration leaves, against width."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.8), layout="constrained")
    shown = summary[summary.series.isin(list(MARKS))].rename(columns={"width": "x"})
    lines(left, shown, MARKS)
    shares = shown[["x", "series", "n", "ratio", "ratio_low", "ratio_high"]].dropna(subset="ratio")
    names = {"ratio": "mean", "ratio_low": "low", "ratio_high": "high"}
    lines(right, shares.rename(columns=names), MARKS)
    right.axhline(1, color="0.4", linestyle="--", linewidth=1)
    left.set_ylabel(f"excess {split} loss at the midpoint (nats)")
    right.set_ylabel("calibrated excess / excess")
    for axis in (left, right):
        axis.set_xlabel("width (hidden units)")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_locator(NullLocator())
    legend(figure, (left,), 3)
    headline(figure, f"{title}: midpoints at a calibrated temperature\n(mean, {METHOD})")
    what = f"Excess {split} loss of midpoints against width, as they are and at fitted softmax temperatures"
    save(figure, path, caption(what, title, summary.n, "pairs"))


def verdicts(summary: pd.DataFrame, trend: pd.DataFrame) -> list[str]:
    """Return for each kind what calibration leaves of the excess loss, and whether width lowers the rest."""
    sentences = []
    for kind, group in summary[summary.ratio_reason.notna()].groupby("kind"):
        found = beside_one(group, "the mean excess loss is not positive")
        sentences.append(f"{kind}: excess loss at the midpoint, calibrated against plain: {found}")
    changes: list[Any] = list(trend.itertuples())
    for row in changes:
        found = with_interval(row.ratio, row.ratio_low, row.ratio_high)
        sentences.append(
            f"{row.series}: excess loss at the midpoint at width {row.wide} against width {row.narrow}: "
            f"{side_of_one(row)}; ratio {found}"
        )
    return sentences


def analyse(folder: Path) -> str:
    """Return tables and verdicts of a sweep as text; draw `figures/calibration_*.png` in its folder."""
    trials, alignments = read_frame(folder, "trials"), read_frame(folder, "alignments", ALIGNED)
    ends = read_dense_ends(folder, trials, "barrier_id", "alignments", "loss_centre")
    columns = ("barrier_id", "split", "measure", "part", "centre_excess")
    measures = pd.concat(
        [read_frame(folder, "measures", columns, measure=name) for name in MEASURES.values()]
    )
    parts = []
    for setting, rows in by_setting(ends, trials):
        pairs = midpoints(rows, measures)
        if pairs.empty:
            continue
        summary = summarise(pairs, alignments)
        split = str(pairs.split.iloc[0])
        draw(summary, setting.title, folder / "figures" / f"calibration_{setting.stem}.png", split)
        table = wide_table(summary.assign(risk="loss"), ["series"], "width")
        head = (
            f"{setting.title}, mean excess {split} loss at the midpoint (nats) [95 % interval over networks]"
        )
        found = verdicts(summary, trends(pairs, alignments))
        parts.append("\n".join([head, table.to_string(), *themselves(rows, trials), *found]))
    return "\n\n".join(parts) or "calibration: no calibrated loss (compare.measures: calibrated_loss)"


if __name__ == "__main__":
    command(__doc__, "calibration_digits", analyse)
