"""Does one permutation align two whole training runs? Found at one epoch and applied at every other."""

from pathlib import Path

import pandas as pd

from analysis.bootstrap import interval
from analysis.command import command
from analysis.deciding import FAILS, HOLDS, NOT_INFORMATIVE, state
from analysis.members import trial_of
from analysis.panels import UNITS
from analysis.settings import Setting, by_setting, one_statistics
from analysis.style import THRESHOLD
from analysis.trajectory_figure import draw

KEYS = ["series", "found", "epoch", "risk"]


def by_epoch(barriers: pd.DataFrame, alignments: pd.DataFrame, per_epoch: float) -> pd.DataFrame:
    """Return mean barriers with intervals by series, epoch found, epoch applied and risk.

    `per_epoch`: steps of an epoch. Series: unaligned, direct, and `stacked n`.
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
            rows.append({**values, **_mean(group, f"{risk}_barrier")})
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


def verdicts(means: pd.DataFrame) -> list[str]:
    """Say of the first, the middle and the last permutation at which epochs the error barrier is low."""
    errors = means[means.risk == "error"]
    unaligned = errors[errors.series == "unaligned"].set_index("epoch")["mean"].to_dict()
    direct = errors[errors.series == "direct"]
    found = sorted(direct.found.unique())
    sentences = []
    for epoch in dict.fromkeys((found[-1], found[len(found) // 2], found[0])):
        rows = direct[direct.found == epoch].sort_values("epoch")
        states = {r.epoch: state(r.low, r.high, unaligned.get(r.epoch)) for r in rows.itertuples()}
        told = [e for e, word in states.items() if word != NOT_INFORMATIVE]
        worst = rows.loc[rows["mean"].idxmax()]
        word = _word([states[e] for e in told])
        where = f"{sum(states[e] == HOLDS for e in told)} of {len(told)} epochs that can tell"
        sentences.append(
            f"permutation of epoch {epoch:g}: {word} (error barrier at most {THRESHOLD} at {where}); "
            f"largest mean {worst['mean']:.3f} [{worst.low:.3f}, {worst.high:.3f}] at epoch {worst.epoch:g}, "
            f"n = {worst.n:.0f} pairs"
        )
    return sentences


def _word(states: list[str]) -> str:
    if not states:
        return "the claim is not informative"
    if all(word == HOLDS for word in states):
        return "the claim holds along the whole trajectory"
    return "the claim fails somewhere" if FAILS in states else "the claim is undecided"


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, draw `figures/trajectory_*.png` and return tables and verdicts."""
    names = ("barriers", "alignments", "agreements", "trials")
    barriers, alignments, agreements, trials = (pd.read_parquet(folder / name) for name in names)
    barriers = barriers[barriers.across.isna()]
    chosen = one_statistics(barriers[(barriers.level == 0) & (barriers.split == "test")])
    chosen = chosen[chosen.interpolation == "pair"]
    parts = []
    for setting, rows in by_setting(chosen):
        for width, same in rows.groupby("width"):
            shares = agreements[agreements.group.isin(same.group) & (agreements.method == setting.method)]
            if (shares.kind == "trajectory").any():
                per_epoch = _steps_per_epoch(trials[trials.group.isin(same.group)])
                own = Setting(setting.dataset, setting.model, setting.norm, setting.method, int(str(width)))
                parts.append(
                    _report(own, same, alignments, fixed_points(shares, per_epoch), per_epoch, folder)
                )
    return "\n\n".join(parts) or "trajectory: no permutations along training (compare.trajectory)"


def _steps_per_epoch(trials: pd.DataFrame) -> float:
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
