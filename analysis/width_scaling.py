"""Do barriers fall with width? A figure, a table, from which width each claim holds, and power laws."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from analysis.bootstrap import interval
from analysis.command import command
from analysis.deciding import HOLDS, share_connected, state
from analysis.members import aligned_networks, members
from analysis.panels import UNITS, lines
from analysis.power_law import power_law
from analysis.settings import by_setting, dense_ends
from analysis.style import BLACK, BLUE, GREEN, ORANGE, PINK, RED, THRESHOLD, Mark, plt, save

# name: (interpolation, kind, column, look)
SERIES = {
    "unaligned": ("pair", "unaligned", "barrier", Mark(BLACK, "o")),
    "direct": ("pair", "direct", "barrier", Mark(BLUE, "s")),
    "via": ("pair", "via", "barrier", Mark(RED, "^")),
    "joint": ("pair", "joint", "barrier", Mark(ORANGE, "v", "--")),
    "barycentre, via": ("simplex", "via", "centre", Mark(GREEN, "D")),
    "barycentre, joint": ("simplex", "joint", "centre", Mark(PINK, "P", "--")),
    "simplex, via": ("simplex", "via", "barrier", Mark(RED, "^")),
    "simplex, joint": ("simplex", "joint", "barrier", Mark(ORANGE, "v", "--")),
}
PANELS = {"pair": "pairs of networks", "simplex": "three networks at once"}
TRIPLE = 3
CLAIMS = tuple(name for name in SERIES if name != "unaligned")
COLUMNS = ["split", "risk", "kind", "width", "mean", "low", "high", "maximum", "connected", "n"]


def samples(barriers: pd.DataFrame, alignments: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name and the rows of every series, with a column `members`."""
    aligned = aligned_networks(alignments)
    for name, (interpolation, kind, _, _) in SERIES.items():
        chosen = barriers[(barriers.interpolation == interpolation) & (barriers.kind == kind)]
        if kind == "joint":  # three networks, beside `via`; alignments of more are another question
            chosen = chosen[[len(aligned[ids[0]]) == TRIPLE for ids in chosen.alignments]]
        if len(chosen):
            yield name, chosen.assign(members=pd.Series(members(chosen, aligned), chosen.index))


def summarise(barriers: pd.DataFrame, alignments: pd.DataFrame) -> pd.DataFrame:
    """Return a row per split, risk, kind and width: mean, interval, maximum, share connected, n."""
    rows = []
    for name, chosen in samples(barriers, alignments):
        for (split, width), group in chosen.groupby(["split", "width"]):
            for risk in ("loss", "error"):
                values = group[f"{risk}_{SERIES[name][2]}"].to_numpy()
                rows.append(
                    {
                        "split": split,
                        "risk": risk,
                        "kind": name,
                        "width": int(str(width)),
                        **vars(interval(values.tolist(), group.members.tolist())),
                        "maximum": values.max(),
                        "connected": share_connected(values),
                        "n": len(values),
                    }
                )
    return pd.DataFrame(rows, columns=COLUMNS)


def power_laws(barriers: pd.DataFrame, alignments: pd.DataFrame, split: str = "test") -> list[str]:
    """Return a line per series: how its mean loss barrier (nats) scales with width."""
    fitted = []
    for name, chosen in samples(barriers[barriers.split == split], alignments):
        by_width = {
            int(str(width)): (group[f"loss_{SERIES[name][2]}"].tolist(), group.members.tolist())
            for width, group in chosen.groupby("width")
        }
        law = power_law(by_width)
        fitted.append(f"loss barrier of {name} ~ {law or 'no power law: fewer than three positive means'}")
    return fitted


def decided(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the error barriers of the claims with a column `state`: what each says of its claim."""
    errors = summary[summary.risk == "error"]
    plain = errors[errors.kind == "unaligned"]
    unaligned = dict(zip(zip(plain.split, plain.width, strict=True), plain["mean"], strict=True))
    claims = errors[errors.kind.isin(CLAIMS)]
    ends = zip(claims.low, claims.high, claims.split, claims.width, strict=True)
    return claims.assign(state=[state(low, high, unaligned.get((split, w))) for low, high, split, w in ends])


def verdicts(summary: pd.DataFrame, split: str = "test") -> list[str]:
    """Return a sentence per kind: from which width on its error barrier is at most 0.02."""
    claims = decided(summary)
    sentences = []
    for kind in CLAIMS:
        rows = claims[(claims.split == split) & (claims.kind == kind)]
        if rows.empty:
            continue
        states = dict(zip(rows.width, rows.state, strict=True))
        holds = None
        for width in sorted(states, reverse=True):
            if states[width] != HOLDS:
                break
            holds = width
        start = f"from width {holds} on" if holds else "at no measured width"
        detail = ", ".join(f"{width}: {state}" for width, state in sorted(states.items()))
        sentences.append(f"{kind}: error barrier at most {THRESHOLD} {start} ({detail})")
    return sentences


def draw(summary: pd.DataFrame, title: str, path: Path, split: str = "test") -> None:
    """Draw barriers of pairs, and excess risks of triples, against width; `panels.lines` says how."""
    shown = summary[summary.split == split].rename(columns={"width": "x", "kind": "series"})
    marks = {
        name: {series: look for series, (kind, _, _, look) in SERIES.items() if kind == interpolation}
        for interpolation, name in PANELS.items()
    }
    panels = [name for name, looks in marks.items() if shown.series.isin(looks).any()]
    figure, axes = plt.subplots(
        len(panels),
        2,
        figsize=(10, 4.1 * len(panels)),
        constrained_layout=True,
        sharex=True,
        sharey="col",
        squeeze=False,
    )
    for row, name in zip(axes, panels, strict=True):
        chosen = shown[shown.series.isin(marks[name])]
        for axis, (risk, unit) in zip(row, UNITS.items(), strict=True):
            lines(axis, chosen[chosen.risk == risk], marks[name], risk == "error")
            axis.set_title(name)
            axis.set_ylabel(f"{split} {risk} barrier ({unit})")
        row[1].legend(frameon=False, fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("width (hidden units)")
    figure.suptitle(f"{title}: barrier against width (mean, 95 % interval over networks)")
    save(figure, path)


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, draw a figure per model and method, and return tables and verdicts."""
    barriers, alignments, trials = (
        pd.read_parquet(folder / name) for name in ("barriers", "alignments", "trials")
    )
    parts = []
    for setting, rows in by_setting(dense_ends(barriers), trials):
        summary = summarise(rows, alignments)
        draw(summary, setting.title, folder / "figures" / f"width_scaling_{setting.stem}.png")
        parts.append("\n".join([_report(setting.title, summary), *power_laws(rows, alignments)]))
    return "\n\n".join(parts) or "width scaling: no barriers yet"


def _report(title: str, summary: pd.DataFrame) -> str:
    test = summary[summary.split == "test"]
    text = test["mean"].map("{:.3f}".format)
    table = test.assign(text=text).pivot_table(
        index=["risk", "kind"], columns="width", values="text", aggfunc="first", sort=False
    )
    return "\n".join([f"{title}, mean test barrier by width", table.to_string(), *verdicts(summary)])


if __name__ == "__main__":
    command(__doc__, "quickstart", analyse)
