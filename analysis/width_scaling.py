"""Do barriers fall with width? A figure, a table, from which width on each claim holds, and power laws."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.bootstrap import with_interval
from analysis.command import command
from analysis.deciding import HOLDS, NOT_INFORMATIVE, UNDECIDED, state
from analysis.members import aligned_networks, members
from analysis.networks import themselves
from analysis.panels import UNITS, lines
from analysis.power_law import PowerLaw, power_law
from analysis.settings import by_setting, dense_ends
from analysis.spread import SPREAD, in_words, spread
from analysis.style import BLACK, BLUE, GREEN, ORANGE, PINK, RED, THRESHOLD, Mark, headline, plt, save

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
OF = {"pair": "pairs", "simplex": "triples"}
LEGEND = {"error": 2, "loss": 1}  # columns
NO_LAW = "no power law: fewer than three positive means"
TRIPLE = 3
CLAIMS = tuple(name for name in SERIES if name != "unaligned")
COLUMNS = ["split", "risk", "kind", "width", *SPREAD]


def samples(barriers: pd.DataFrame, alignments: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name and the rows of every series, with a column `members`."""
    aligned = aligned_networks(alignments)
    for name, (interpolation, kind, _, _) in SERIES.items():
        chosen = barriers[(barriers.interpolation == interpolation) & (barriers.kind == kind)]
        if kind == "joint":  # three networks, beside `via`; alignments of more are another question
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
    barriers: pd.DataFrame, alignments: pd.DataFrame, split: str = "test"
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
    """Return the error barriers of the claims with a column `state`: what each says of its claim."""
    errors = summary[summary.risk == "error"]
    plain = errors[errors.kind == "unaligned"]
    unaligned = dict(zip(zip(plain.split, plain.width, strict=True), plain["mean"], strict=True))
    claims = errors[errors.kind.isin(CLAIMS)]
    ends = zip(claims.low, claims.high, claims.split, claims.width, strict=True)
    return claims.assign(state=[state(low, high, unaligned.get((split, w))) for low, high, split, w in ends])


def verdicts(summary: pd.DataFrame, split: str = "test") -> list[str]:
    """Return, per kind, from which width on its error barrier is at most 0.02, and a line per width."""
    claims = decided(summary[summary.split == split])
    sentences = []
    for kind in CLAIMS:
        rows: list[Any] = list(claims[claims.kind == kind].sort_values("width").itertuples())
        if rows:
            of = OF[SERIES[kind][0]]
            head = (
                f"{kind}: error barrier at most {THRESHOLD} {_from({row.width: row.state for row in rows})}"
            )
            sentences.append("\n".join([head, *(f"  {row.width}: {in_words(row, of)}" for row in rows)]))
    return sentences


def _from(states: Mapping[int, str]) -> str:
    """Say from which width on a claim holds: there and at every larger width; and where one cannot tell."""
    upwards = sorted(states)
    since = None
    for width in reversed(upwards):
        if states[width] != HOLDS:
            break
        since = width
    words = ["from no measured width on" if since is None else f"from width {since} on"]
    below = [width for width in upwards if states[width] == HOLDS and (since is None or width < since)]
    words += [f"it holds at {', '.join(map(str, below))}"] if below else []
    for word in (UNDECIDED, NOT_INFORMATIVE):
        at = ", ".join(str(width) for width in upwards if states[width] == word)
        words += [f"{at} cannot tell ({word})"] if at else []
    return "; ".join(words)


def draw(
    summary: pd.DataFrame,
    laws: Mapping[str, PowerLaw | None],
    title: str,
    path: Path,
    split: str = "test",
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
    headline(
        figure, f"{title}: barrier against width\n(mean, 95 % interval over networks; losses with power laws)"
    )
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
    test = summary[summary.split == "test"]
    text = list(map(with_interval, test["mean"], test.low, test.high))
    table = test.assign(text=text).pivot_table(
        index=["risk", "kind"], columns="width", values="text", aggfunc="first", sort=False
    )
    head = f"{title}, mean test barrier by width [95 % interval over networks]"
    return "\n".join([head, table.sort_index(axis=1).to_string(na_rep="")])


if __name__ == "__main__":
    command(__doc__, "quickstart", analyse)
