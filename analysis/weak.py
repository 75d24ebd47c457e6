"""Does some permutation connect every pair of networks, and do pairs with a common start need one?"""

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.command import command
from analysis.rows.quality import themselves
from analysis.rows.settings import by_networks, by_width, dense_ends, read_barriers
from analysis.statistics.pairs import named, report, summarise
from raysweep.sweep.methods import METHODS
from raysweep.tables.frames import read_frame
from raysweep.tables.variants import SETTINGS, trial_of, variants
from raysweep.vocabulary import Interpolation, Kind

INDEPENDENT, SAME = "independent", "same initialisation"
SHARED = (
    "spawn_at",
    "spawn_replicate",
    "init_seed",
    "data_seed",
)  # the keys of `train` that determine what networks share
ORDER = [INDEPENDENT, SAME, Kind.UNALIGNED, *(method.replace("_", " ") for method in METHODS)]


def pairs(barriers: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the unaligned and direct pairs with the columns of `statistics.pairs`.

    `series` says what the two networks share: nothing (`independent`), the initialisation but not the
    order of the data, or a run up to `spawn_at`. Where several settings of the seeds share the same, it
    names the setting too. The intervals of spawned pairs are over networks from this one trunk.
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
    alignment = chosen.method.str.replace("_", " ").fillna(Kind.UNALIGNED).tolist()
    return named(chosen, series, alignment, members, ORDER)


def _series(one: Any, other: Any) -> str:
    if one.branch == other.branch == "spawned" and one.start > 0:
        return f"spawned at {one.spawn_at}"
    same = one.branch == other.branch and one.init_seed == other.init_seed
    return SAME if same else INDEPENDENT


def analyse(folder: Path) -> str:
    """Return tables and verdicts of a sweep as text; draw `figures/weak_*.png` in its folder."""
    from analysis.figures.pairs import draw

    trials = read_frame(folder, "trials")
    barriers = read_barriers(folder, across=None, level=0, interpolation=Interpolation.PAIR)
    chosen = pairs(dense_ends(barriers, trials), trials)
    parts = []
    for setting, rows in by_width(by_networks(chosen, trials, ignored=SHARED)):
        path = folder / "figures" / f"weak_{setting.stem}.png"
        summary = summarise(rows)
        draw(rows, summary, setting.title, path)
        parts.append("\n".join([report(summary, setting.title), *themselves(rows, trials)]))
    return "\n\n".join(parts) or "weak: no pairs yet"


if __name__ == "__main__":
    command(__doc__, "weak_digits", analyse)
