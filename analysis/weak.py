"""Does some permutation connect every pair? All pairs as they are and aligned, beside their controls."""

from pathlib import Path
from typing import Any

import pandas as pd

from analysis.command import command
from analysis.members import trial_of
from analysis.pairs import UNALIGNED, named, report
from analysis.settings import by_networks, by_width, dense_ends

INDEPENDENT, SAME = "independent", "same initialisation"
ORDER = [INDEPENDENT, SAME, UNALIGNED, "weight matching", "activation matching"]


def pairs(barriers: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the unaligned and direct pairs with what they share, how they were aligned, and their trials.

    They share nothing (`independent`), their initialisation but not the order of the data, or a run up to
    `spawn_at`. The intervals of spawned pairs are those of networks from this one trunk.
    """
    chosen = barriers[barriers.interpolation.eq("pair") & barriers.kind.isin([UNALIGNED, "direct"])]
    runs = {row.trial_id: row for row in trials[trials.level == 0].itertuples()}
    members = [[trial_of(network) for network in networks] for networks in chosen.networks]
    series = [_series(runs[one], runs[other]) for one, other in members]
    how = chosen.method.str.replace("_", " ").fillna(UNALIGNED).tolist()
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
    for setting, rows in by_width(by_networks(chosen, trials)):
        parts.append(report(rows, setting.title, folder / "figures" / f"weak_{setting.stem}.png"))
    return "\n\n".join(parts) or "weak: no pairs yet"


if __name__ == "__main__":
    command(__doc__, "weak_digits", analyse)
