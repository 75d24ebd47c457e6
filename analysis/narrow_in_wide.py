"""Is a narrow network connected with the part of a wide one that it is matched to? By both widths."""

from pathlib import Path

import pandas as pd

from analysis.bootstrap import interval
from analysis.command import command
from analysis.deciding import share_connected, state
from analysis.members import trial_of
from analysis.panels import UNITS, lines
from analysis.settings import by_setting, ends
from analysis.style import LOOKS, THRESHOLD, Mark, plt, save

KINDS = {"embedded": "embedded", "direct": "embedded", "unaligned": "unaligned"}


def summarise(barriers: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return mean test barriers by narrow and wide width, `how` (embedded or unaligned) and risk.

    Networks of one width are embedded in each other by a direct alignment.
    """
    width = trials.drop_duplicates("trial_id").set_index("trial_id").width
    chosen = barriers[
        (barriers.split == "test") & barriers.kind.isin(KINDS) & (barriers.interpolation == "pair")
    ]
    members = [[trial_of(network) for network in networks] for networks in chosen.networks]
    widths = [sorted(width[trial] for trial in pair) for pair in members]
    named = chosen.assign(
        how=chosen.kind.map(KINDS),
        narrow=[pair[0] for pair in widths],
        wide=[pair[1] for pair in widths],
        members=pd.Series(members, chosen.index, dtype=object),
    )
    rows = []
    for (narrow, wide, how), group in named.groupby(["narrow", "wide", "how"]):
        for risk in UNITS:
            values = group[f"{risk}_barrier"]
            rows.append(
                {
                    "narrow": narrow,
                    "wide": wide,
                    "how": how,
                    "risk": risk,
                    **vars(interval(values.tolist(), group.members.tolist())),
                    "maximum": values.max(),
                    "connected": share_connected(values),
                    "n": len(values),
                }
            )
    return pd.DataFrame(rows)


def verdicts(summary: pd.DataFrame) -> list[str]:
    """Return a sentence per pair of widths: is the narrow network connected with its place in the wide?"""
    errors = summary[summary.risk == "error"].to_dict("records")
    unaligned = {(row["narrow"], row["wide"]): row["mean"] for row in errors if row["how"] == "unaligned"}
    return [
        f"width {row['narrow']} in {row['wide']}: error barrier {row['mean']:.3f} "
        f"[{row['low']:.3f}, {row['high']:.3f}], maximum {row['maximum']:.3f}, {row['connected']:.0%} of "
        f"{row['n']} pairs, threshold {THRESHOLD}: "
        f"{state(row['low'], row['high'], unaligned.get((row['narrow'], row['wide'])))}"
        for row in errors
        if row["how"] == "embedded"
    ]


def draw(summary: pd.DataFrame, title: str, path: Path) -> None:
    """Draw barriers against the wide width, a line per narrow one; `panels.lines` says how."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.8), constrained_layout=True)
    marks, names = {}, []
    for look, narrow in zip(LOOKS, sorted(summary.narrow.unique()), strict=False):
        marks[f"width {narrow} in wide"] = look
        marks[f"width {narrow}, unaligned"] = Mark(look.colour, look.marker, ":")
    for narrow, how in zip(summary.narrow, summary.how, strict=True):
        names.append(f"width {narrow} in wide" if how == "embedded" else f"width {narrow}, unaligned")
    drawn = summary.assign(series=names, x=summary.wide)
    for axis, (risk, unit) in zip(axes, UNITS.items(), strict=True):
        lines(axis, drawn[drawn.risk == risk], marks, risk == "error")
        axis.set_xlabel("width of the wide network (hidden units)")
        axis.set_ylabel(f"test {risk} barrier ({unit})")
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8
    )
    figure.suptitle(f"{title}: narrow networks in wide ones (mean, 95 % interval over networks)")
    save(figure, path)


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, write `figures/narrow_in_wide_*.png` and return a table and verdicts."""
    barriers, trials = pd.read_parquet(folder / "barriers"), pd.read_parquet(folder / "trials")
    if not (barriers.across == "widths").any():
        return "narrow in wide: no networks of several widths yet (compare.across)"
    parts = []
    within = barriers[barriers.across.isna() | (barriers.across == "widths")]
    for setting, rows in by_setting(ends(within), trials):
        summary = summarise(rows, trials)
        draw(summary, setting.title, folder / "figures" / f"narrow_in_wide_{setting.stem}.png")
        parts.append("\n".join([f"{setting.title}, narrow networks in wide ones", *verdicts(summary)]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    command(__doc__, "narrow_in_wide_digits", analyse)
