"""Does the permutation that aligns two dense networks also align the sparse networks pruned from them?"""

from itertools import chain
from pathlib import Path

import pandas as pd

from analysis.pruning.barriers import POINTS, by_level, decided, errors_by_level, verdicts
from analysis.rows.members import members_of
from analysis.rows.quality import themselves
from analysis.rows.settings import pruned_pairs, read_one_split
from analysis.statistics.spread import wide_table
from raysweep.tables.frames import read_frame


def analyse(folder: Path) -> str:
    """Return tables and verdicts of a sweep as text; draw `figures/pruning_*.png` in its folder."""
    from analysis.pruning.figure import draw

    barriers, trials = read_one_split(folder, "permutation_level", across=None), read_frame(folder, "trials")
    parts = []
    for setting, rows, part in pruned_pairs(barriers, trials):
        means = by_level(rows, part)
        if not (means.level > 0).any():
            continue
        own = part[part.trial_id.isin(chain.from_iterable(members_of(rows)))]
        path, split = folder / "figures" / f"pruning_{setting.stem}.png", str(rows.split.iloc[0])
        draw(means, errors_by_level(own), POINTS, setting.title, path, split)
        lines = [*_tables(setting.title, means, split), *themselves(rows, trials)]
        parts.append("\n".join([*lines, *verdicts(decided(means), split)]))
    return "\n\n".join(parts) or "pruning: no pruned networks yet"


def _tables(title: str, means: pd.DataFrame, split: str) -> list[str]:
    lines = []
    for risk, rows in means.groupby("risk"):
        wide = wide_table(rows, ["level", "sparsity"], ["point", "kind"])
        table = wide.sort_index(axis=1, ascending=False).reset_index()
        body = table.to_string(index=False, float_format="{:.3f}".format)
        lines += [f"{title}: mean {split} {risk} barrier of pairs by level [95 % interval]", body]
    return lines
