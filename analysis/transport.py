"""Can the mask of one network be reused by another, once it is permuted? Test error and loss by sparsity."""

from pathlib import Path
from typing import Any

import pandas as pd

from analysis.command import command
from analysis.deciding import ABOVE, BELOW, UNDECIDED, side_of
from analysis.jackknife import with_interval
from analysis.panels import UNITS
from analysis.settings import Setting
from analysis.sparsity import mean, pruned_groups
from analysis.transport_figure import draw
from analysis.transport_runs import ONE_SHOT, OWN, RANDOM, TRANSPORTED, chance, named_runs

BETTER, WORSE = "better", "worse"
WORDS = {ABOVE: BETTER, BELOW: WORSE}
# What a transported and permuted mask is compared with, and the columns in which the two runs agree.
REFERENCES = {
    TRANSPORTED["none"]: ["level", "parent_trial", "mask_trial"],
    OWN: ["level", "parent_trial"],
    RANDOM: ["level", "parent_trial"],
    ONE_SHOT: ["level", "parent_trial"],
}
KEYS = ["permutation", "reference", "risk", "level", "sparsity"]


def by_level(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean test error and loss of every kind of run by level, with intervals.

    Runs that collapsed to chance count in the error and are left out of the loss, whose size then says
    nothing; `collapsed` says how many there are. Levels at which all collapsed have no mean loss.
    """
    rows = []
    for (run, level), group in runs.groupby(["run", "level"]):
        same = {"run": run, "level": level, "sparsity": group.sparsity.mean()}
        for risk in UNITS:
            kept = group if risk == "error" else group[~group.collapsed]
            ends = _mean(kept[f"test_{risk}"], kept.members)
            rows.append({**same, "risk": risk, **ends, "collapsed": group.collapsed.sum()})
    return pd.DataFrame(rows)


def differences(runs: pd.DataFrame) -> pd.DataFrame:
    """Return, by level, the mean paired differences in test error and loss: reference minus permuted mask.

    Positive: the permuted mask is better. A pair has the same rewind point and, where the reference is
    transported too, the mask of the same other network. Pairs of which one collapsed to chance are left out
    of the loss; `collapsed` counts them. `state` is decided by the interval, and `why` if it is not.
    """
    rows = []
    for permutation in ("dense", "level"):
        moved = runs[runs.run == TRANSPORTED[permutation]]
        for reference, keys in REFERENCES.items():
            pairs = moved.merge(runs[runs.run == reference], on=keys, suffixes=("", "_reference"))
            collapsed = pairs.collapsed | pairs.collapsed_reference
            for risk in UNITS:
                gains = pairs.assign(gain=pairs[f"test_{risk}_reference"] - pairs[f"test_{risk}"])
                kept = gains[~collapsed] if risk == "loss" else gains
                for level, group in kept.groupby("level"):
                    at = (permutation, reference, risk, level, group.sparsity.mean())
                    ends = _mean(group.gain, group.members)
                    found = side_of(0, ends["low"], ends["high"], ends["why"])
                    decided = {"state": WORDS.get(found.state, found.state), "why": found.why}
                    left = {"collapsed": collapsed[pairs.level == level].sum()}
                    rows.append({**dict(zip(KEYS, at, strict=True)), **ends, **decided, **left})
    return pd.DataFrame(rows, columns=[*KEYS, "mean", "low", "high", "n", "state", "why", "collapsed"])


def _mean(values: pd.Series, members: pd.Series) -> dict[str, Any]:
    if values.empty:
        nothing = float("nan")
        return {"mean": nothing, "low": nothing, "high": nothing, "why": "none is left", "n": 0}
    return mean(values, members.tolist())


def verdicts(gains: pd.DataFrame, means: pd.DataFrame, limit: float) -> list[str]:
    """Return a sentence per permutation and reference, and one on the runs that collapsed."""
    sentences = []
    for (permutation, reference), rows in gains.groupby(["permutation", "reference"], sort=False):
        parts = [f"test {risk} {_where(rows[rows.risk == risk])}" for risk in UNITS]
        sentences.append(
            f"mask transport, {permutation} permutation, against {reference}: {'; '.join(parts)}"
        )
    lost = means[(means.risk == "loss") & (means.collapsed > 0)]
    found = "; ".join(
        f"{run} " + ", ".join(f"{row.collapsed} at level {row.level}" for row in rows.itertuples())
        for run, rows in lost.groupby("run")
    )
    rule = f"runs at chance, with a test error of {limit:.3f} or more, left out of all losses"
    return [*sentences, f"{rule}: {found or 'none'}"]


def _where(rows: pd.DataFrame) -> str:
    levels = {word: rows[rows.state == word].level.tolist() for word in (BETTER, WORSE)}
    open_ = rows[rows.state == UNDECIDED]
    whys = [f"{why} at {_ranges(part.level.tolist())}" for why, part in open_.groupby("why", sort=False)]
    return (
        f"lower at levels {_ranges(levels[BETTER])}, higher at {_ranges(levels[WORSE])}, "
        f"undecided at {len(open_)} of {len(rows)}" + (f" ({', '.join(whys)})" if whys else "")
    )


def _ranges(levels: list[int]) -> str:
    """Write 4, 6, 7, 8 as `4, 6-8`."""
    starts = [level for level in levels if level - 1 not in levels]
    ends = [level for level in levels if level + 1 not in levels]
    words = [f"{a}" if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True)]
    return ", ".join(words) or "none"


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, draw `figures/transport_*.png` and return tables and verdicts."""
    trials, metrics = pd.read_parquet(folder / "trials"), pd.read_parquet(folder / "metrics")
    moved = [each for each in pruned_groups(trials) if each[1].branch.eq("transport").any()]
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
        words = list(map(with_interval, moved["mean"], moved.low, moved.high))
        wide = moved.assign(text=words).pivot(
            index="level", columns=["permutation", "reference"], values="text"
        )
        lines += [f"{title}: test {risk} of the reference minus that of the permuted mask, paired"]
        lines += [wide.to_string(na_rep="")]
    return "\n".join([*lines, *verdicts(gains, means, limit)])


if __name__ == "__main__":
    command(__doc__, "imp_digits", analyse)
