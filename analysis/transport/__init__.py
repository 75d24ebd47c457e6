"""Can the pruning mask of one network be reused by another network once it is permuted?"""

from pathlib import Path

import pandas as pd

from analysis.rows.settings import Setting, pruned_settings
from analysis.statistics.spread import UNITS, in_order, wide_table
from analysis.transport.differences import by_level, differences, verdicts
from analysis.transport.figure import draw
from analysis.transport.runs import chance, named_runs
from raysweep.tables.frames import read_frame
from raysweep.vocabulary import Split


def analyse(folder: Path) -> str:
    """Return tables and verdicts of a sweep as text; draw `figures/transport_*.png` in its folder."""
    trials = read_frame(folder, "trials")
    metrics = read_frame(folder, "metrics", ("trial_id", "step", "split", "error"), step=0, split=Split.TEST)
    moved = [each for each in pruned_settings(trials) if each[1].branch.eq("transport").any()]
    parts = [_report(setting, own, metrics, folder) for setting, own in moved]
    return "\n\n".join(parts) or "transport: no transported masks yet (prune.branches)"


def _report(setting: Setting, trials: pd.DataFrame, metrics: pd.DataFrame, folder: Path) -> str:
    title, limit = setting.title, chance(trials, metrics)
    runs = named_runs(trials, limit)
    means, gains = by_level(runs), differences(runs)
    path = folder / "figures" / f"transport_{setting.stem}.png"
    draw(means, gains, limit, title, path)
    lines = []
    for risk in UNITS:
        wide = means[means.risk == risk].pivot(index="level", columns="run", values="mean")
        note = "" if risk == "error" else ", without those at chance"
        lines += [f"{title}: mean test {risk} of the pruned networks{note}"]
        lines += [wide.to_string(float_format="{:.3f}".format)]
    for risk in UNITS:
        moved = gains[gains.risk == risk]
        columns = {name: in_order(moved[name]) for name in ("permutation", "reference")}
        wide = wide_table(moved.assign(**columns), "level", list(columns))
        lines += [f"{title}: test {risk} of the reference minus that of the permuted mask, paired"]
        lines += [wide.to_string()]
    return "\n".join([*lines, *verdicts(gains, means, limit)])
