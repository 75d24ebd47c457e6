"""Does one permutation align two whole training runs? Found at one epoch and applied at every other."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from analysis.bootstrap import interval, with_interval
from analysis.command import command
from analysis.deciding import FAILS, HOLDS, NOT_INFORMATIVE, UNDECIDED, share_connected
from analysis.members import trial_of
from analysis.panels import UNITS
from analysis.settings import Setting, by_setting, by_width, one_statistics
from analysis.simultaneous import Decision, decide
from analysis.style import THRESHOLD
from analysis.trajectory_figure import draw

KEYS = ["series", "found", "epoch", "risk"]
WORDS = {
    HOLDS: "the claim holds along the whole trajectory",
    FAILS: "the claim fails somewhere",
    UNDECIDED: "the claim is undecided",
    NOT_INFORMATIVE: "the claim is not informative",
}


def by_epoch(barriers: pd.DataFrame, alignments: pd.DataFrame, per_epoch: float) -> pd.DataFrame:
    """Return mean barriers with intervals by series, epoch found, epoch applied and risk.

    `per_epoch`: steps of an epoch. Series: unaligned, direct, and `stacked n`. The maximum over pairs and
    the share of connected ones stand beside the mean.
    """
    size = dict(zip(alignments.alignment_id, alignments.networks.map(len) // 2, strict=True))
    chosen = barriers[barriers.kind.isin(["unaligned", "direct", "stacked"])]
    series = [
        f"stacked {size[ids[0]]}" if kind == "stacked" else kind
        for kind, ids in zip(chosen.kind, chosen.alignments, strict=True)
    ]
    rows = []
    chosen = chosen.assign(
        series=series, found=chosen.permutation_step / per_epoch, epoch=chosen.step / per_epoch
    )
    for at, group in chosen.groupby(KEYS[:3], dropna=False):
        for risk in UNITS:
            values = dict(zip(KEYS, (*at, risk), strict=True))
            single = group[f"{risk}_barrier"]
            spread = {"maximum": single.max(), "connected": share_connected(single)}
            rows.append({**values, **_mean(group, f"{risk}_barrier"), **spread})
    return pd.DataFrame(rows)


def fixed_points(agreements: pd.DataFrame, per_epoch: float) -> pd.DataFrame:
    """Return by epoch the mean share of units on which its permutation is the last one."""
    along = agreements[agreements.kind == "trajectory"]
    along = along[along.step < along.step.max()]
    rows = [
        {"epoch": epoch, **_mean(group, "fixed_points")}
        for epoch, group in along.groupby(along.step / per_epoch)
    ]
    return pd.DataFrame(rows)


def hybrids_by_layer(barriers: pd.DataFrame) -> pd.DataFrame:
    """Return the mean loss barrier of hybrids by direction and number (or place) of groups."""
    chosen = barriers[barriers.kind == "hybrid"]
    rows = [
        {"hybrid": direction, "layers": layers, **_mean(group, "loss_barrier")}
        for (direction, layers), group in chosen.groupby(["hybrid", "hybrid_layers"])
    ]
    return pd.DataFrame(rows)


def _mean(group: pd.DataFrame, column: str) -> dict[str, float]:
    members = [[trial_of(network) for network in networks] for networks in group.networks]
    return {**vars(interval(group[column].tolist(), members)), "n": len(group)}


def decisions(means: pd.DataFrame) -> dict[float, Decision]:
    """Decide, of the last, the middle and the first permutation, by the epoch at which it was found."""
    errors = means[means.risk == "error"].rename(columns={"epoch": "place"})
    plain = errors[errors.series == "unaligned"]
    unaligned = dict(zip(plain.place, plain["mean"], strict=True))
    direct = errors[errors.series == "direct"]
    found = sorted(direct.found.unique())
    chosen = dict.fromkeys((found[-1], found[len(found) // 2], found[0])) if found else {}
    return {float(epoch): decide(direct[direct.found == epoch], unaligned) for epoch in chosen}


def verdicts(means: pd.DataFrame) -> list[str]:
    """Say of the first, the middle and the last permutation at which epochs the error barrier is low."""
    return [
        f"permutation of epoch {epoch:g}: {WORDS[found.state]} (error barrier at most {THRESHOLD} at "
        f"{found.holds} of {found.told} epochs that can tell); largest mean "
        f"{with_interval(found.mean, found.low, found.high)} at epoch {found.place:g}, n = {found.n} pairs"
        for epoch, found in decisions(means).items()
    ]


def trajectories(
    barriers: pd.DataFrame, agreements: pd.DataFrame, trials: pd.DataFrame
) -> Iterator[tuple[Setting, pd.DataFrame, pd.DataFrame]]:
    """Yield the pairs of every setting and width with permutations along training, and their agreements."""
    chosen = one_statistics(barriers[(barriers.level == 0) & barriers.across.isna()]).astype({"width": int})
    for setting, rows in by_width(by_setting(chosen[chosen.interpolation == "pair"], trials)):
        shares = agreements[agreements.group.isin(rows.group) & (agreements.method == setting.method)]
        if (shares.kind == "trajectory").any():
            yield setting, rows, shares


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, draw `figures/trajectory_*.png` and return tables and verdicts."""
    names = ("barriers", "alignments", "agreements", "trials")
    barriers, alignments, agreements, trials = (pd.read_parquet(folder / name) for name in names)
    parts = []
    for setting, rows, along in trajectories(barriers[barriers.split == "test"], agreements, trials):
        per_epoch = steps_per_epoch(trials[trials.group.isin(rows.group)])
        shares = fixed_points(along, per_epoch)
        parts.append(_report(setting, rows, alignments, shares, per_epoch, folder))
    return "\n\n".join(parts) or "trajectory: no permutations along training (compare.trajectory)"


def steps_per_epoch(trials: pd.DataFrame) -> float:
    """Return the optimiser steps of an epoch, which trials of one group share."""
    return float((trials.steps / trials.epochs).iloc[0])


def _report(
    setting: Setting,
    rows: pd.DataFrame,
    alignments: pd.DataFrame,
    shares: pd.DataFrame,
    per_epoch: float,
    folder: Path,
) -> str:
    means, hybrids = by_epoch(rows, alignments, per_epoch), hybrids_by_layer(rows)
    draw(means, shares, hybrids, setting.title, folder / "figures" / f"trajectory_{setting.stem}.png")
    losses = means[means.risk == "loss"]
    losses = losses.assign(
        name=[
            s if s == "unaligned" else f"{s}, found at {f:g}"
            for s, f in zip(losses.series, losses.found, strict=True)
        ]
    )
    table = losses.pivot_table(index="name", columns="epoch", values="mean", sort=False)
    lines = [
        f"{setting.title}: mean test loss barrier by epoch",
        table.to_string(float_format="{:.3f}".format),
    ]
    text = ", ".join(f"{r.epoch:g}: {r.mean:.2f}" for r in shares.itertuples())
    return "\n".join([*lines, f"fixed points with the last permutation by epoch: {text}", *verdicts(means)])


if __name__ == "__main__":
    command(__doc__, "trajectory_digits", analyse)
