"""Does some permutation connect every pair? All pairs as they are and aligned, beside their controls."""

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.command import command
from analysis.figures.pairs import draw
from analysis.rows.quality import themselves
from analysis.rows.settings import by_networks, by_width, dense_ends
from analysis.statistics.pairs import named, report, summarise
from raysweep.sweep.variants import SETTINGS, trial_of, variants
from raysweep.vocabulary import Interpolation, Kind, Method

INDEPENDENT, SAME = "independent", "same initialisation"
SHARED = ("spawn_at", "spawn_replicate", "init_seed", "data_seed")  # keys that say what networks share
ORDER = [INDEPENDENT, SAME, Kind.UNALIGNED, *(method.replace("_", " ") for method in Method)]


def pairs(barriers: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the unaligned and direct pairs with what they share, how they were aligned, and their trials.

    They share nothing (`independent`), their initialisation but not the order of the data, or a run up to
    `spawn_at`; where several settings of the seeds share as much, a series says which is its own. The
    intervals of spawned pairs are those of networks from this one trunk.
    """
    chosen = barriers[
        barriers.interpolation.eq(Interpolation.PAIR) & barriers.kind.isin([Kind.UNALIGNED, Kind.DIRECT])
    ]
    runs = {row.trial_id: row for row in trials[trials.level == 0].itertuples()}
    members = [[trial_of(network) for network in networks] for networks in chosen.networks]
    words = variants(chosen, trials, but=set(SETTINGS).difference(SHARED))
    shared = [(_series(runs[a], runs[b]), word) for (a, b), word in zip(members, words, strict=True)]
    several = Counter(name for name, _ in set(shared))
    series = [f"{name}, {word}" if several[name] > 1 else name for name, word in shared]
    how = chosen.method.str.replace("_", " ").fillna(Kind.UNALIGNED).tolist()
    return named(chosen, series, how, members, ORDER)


def _series(one: Any, other: Any) -> str:
    if one.branch == other.branch == "spawned" and one.start > 0:
        return f"spawned at {one.spawn_at}"
    same = one.branch == other.branch and one.init_seed == other.init_seed
    return SAME if same else INDEPENDENT


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, write `figures/weak_*.png` and return tables and verdicts."""
    barriers, trials = pd.read_parquet(folder / "barriers"), pd.read_parquet(folder / "trials")
    chosen = pairs(dense_ends(barriers), trials)
    parts = []
    for setting, rows in by_width(by_networks(chosen, trials, but=SHARED)):
        path = folder / "figures" / f"weak_{setting.stem}.png"
        summary = summarise(rows)
        draw(rows, summary, setting.title, path)
        parts.append("\n".join([report(summary, setting.title), *themselves(rows, trials)]))
    return "\n\n".join(parts) or "weak: no pairs yet"


if __name__ == "__main__":
    command(__doc__, "weak_digits", analyse)
