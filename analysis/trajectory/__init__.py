"""Does one permutation, found at one epoch, align two training runs at every epoch?"""

from pathlib import Path

import pandas as pd

from analysis.rows.quality import themselves
from analysis.rows.settings import Setting, read_one_split
from analysis.rows.tables import OF_AGREEMENTS
from analysis.trajectory.barriers import (
    by_epoch,
    decisions,
    fixed_points,
    named,
    over_epochs,
    steps_per_epoch,
    trajectories,
)
from analysis.trajectory.hybrids import hybrids_by_layer
from analysis.trajectory.stacks import stacks_by_epoch
from analysis.trajectory.text import report
from raysweep.tables.frames import read_frame


def analyse(folder: Path) -> str:
    """Return tables and verdicts of a sweep as text; draw `figures/trajectory_*.png` in its folder."""
    barriers = read_one_split(folder, "stack", "hybrid", "hybrid_layers")
    agreements, trials = read_frame(folder, "agreements", OF_AGREEMENTS), read_frame(folder, "trials")
    parts = []
    for setting, rows, along in trajectories(barriers, agreements, trials):
        per_epoch = steps_per_epoch(trials[trials.group.isin(rows.group)])
        shares = fixed_points(along, per_epoch)
        text = _report(setting, rows, shares, per_epoch, folder)
        parts.append("\n".join([text, *themselves(rows, trials)]))
    return "\n\n".join(parts) or "trajectory: no permutations along training (compare.trajectory)"


def _report(
    setting: Setting,
    rows: pd.DataFrame,
    shares: pd.DataFrame,
    per_epoch: float,
    folder: Path,
) -> str:
    from analysis.trajectory.figure import draw

    pairs, means = named(rows, per_epoch), by_epoch(rows, per_epoch)
    hybrids, stacks = hybrids_by_layer(rows, per_epoch), stacks_by_epoch(pairs)
    path = folder / "figures" / f"trajectory_{setting.stem}.png"
    split = str(rows.split.iloc[0])
    draw(means, shares, hybrids, stacks, setting.title, path, split)
    along = over_epochs(rows, per_epoch)
    return report(setting.title, means, along, shares, hybrids, stacks, decisions(means), split)
