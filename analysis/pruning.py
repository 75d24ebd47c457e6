"""Do permutations of dense networks align pruned ones, and can their masks be reused? By sparsity."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.bootstrap import interval
from analysis.command import command
from analysis.members import trial_of
from analysis.style import BLACK, BLUE, GREEN, ORANGE, PINK, RED, SKY, Mark, plt, save

SERIES = {
    "unaligned": Mark(BLACK, "o"),
    "dense permutation": Mark(BLUE, "s"),
    "level's permutation": Mark(RED, "^", "--"),
}
RUNS = {
    "own mask": Mark(BLACK, "o"),
    "transported, level's permutation": Mark(RED, "^", "--"),
    "transported, dense permutation": Mark(BLUE, "s"),
    "transported, no permutation": Mark(GREEN, "D"),
    "random": Mark(ORANGE, "v", ":"),
    "one-shot": Mark(SKY, "P", ":"),
    "reinitialised": Mark(PINK, "X", ":"),
}
BRANCHES = {"random": "random", "one_shot": "one-shot", "reinitialise": "reinitialised"}
PERMUTATIONS = {
    "level": "transported, level's permutation",
    "dense": "transported, dense permutation",
    "none": "transported, no permutation",
}
COLUMNS = ["split", "point", "level", "sparsity", "kind", "risk"]


def barriers_by_level(barriers: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the mean barrier and its interval by split, point (rewind or end), level, kind and risk."""
    chosen = barriers[barriers.interpolation.eq("pair") & barriers.kind.isin(["unaligned", "direct"])].copy()
    records = trials.set_index(["trial_id", "level"])
    first = chosen.networks.str[0].map(trial_of)
    keys = list(zip(first, chosen.level, strict=True))
    chosen["sparsity"] = [records.sparsity[key] for key in keys]
    chosen["point"] = np.where(chosen.step == [records.steps[key] for key in keys], "end", "rewind")
    rows = []
    for (split, point, level, _), part in chosen.groupby(["split", "point", "level", "kind"]):
        for kind, group in _permutations(part):
            for risk in ("loss", "error"):
                values = group[f"{risk}_barrier"]
                estimate = interval(values.tolist(), [[trial_of(n) for n in pair] for pair in group.networks])
                at = (split, point, level, group.sparsity.mean(), kind, risk)
                rows.append({**dict(zip(COLUMNS, at, strict=True)), **vars(estimate), "n": len(group)})
    return pd.DataFrame(rows, columns=[*COLUMNS, "mean", "low", "high", "n"])


def _permutations(part: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Split comparisons by the level at which their permutation was found; at level 0 the two are one."""
    if part.kind.iloc[0] == "unaligned":
        return [("unaligned", part)]
    dense = part[part.permutation_level == 0]
    own = part[part.permutation_level == part.level]
    return [
        (name, rows)
        for name, rows in (("dense permutation", dense), ("level's permutation", own))
        if len(rows)
    ]


def runs_by_level(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the pruned runs with a readable `run`: the own mask, or how it was replaced."""
    pruned = trials[trials.level > 0].copy()
    pruned["run"] = pruned.branch.map(BRANCHES).fillna("own mask")
    transported = pruned.branch == "transport"
    pruned.loc[transported, "run"] = pruned.mask_permutation[transported].map(PERMUTATIONS)
    return pruned


def transport_differences(trials: pd.DataFrame) -> pd.DataFrame:
    """Return, by level, the mean of test loss under the unpermuted minus under the permuted mask.

    Paired: the same rewind point and the same other network's mask. Positive: the permutation helps.
    """
    moved = trials[trials.branch == "transport"]
    wide = moved.pivot_table(
        index=["level", "parent_trial", "mask_trial"], columns="mask_permutation", values="test_loss"
    )
    sparsity = moved.groupby("level").sparsity.mean()
    chains = trials[(trials.branch == "main") & (trials.level > 0)].drop_duplicates("trial_id")
    dense = dict(zip(chains.trial_id, chains.parent_trial, strict=True))
    rows = []
    for permutation in ("dense", "level"):
        if not {"none", permutation} <= set(wide.columns):
            continue
        differences = (wide["none"] - wide[permutation]).dropna().reset_index(name="difference")
        for level, group in differences.groupby("level"):
            masks = group.mask_trial.map(dense)
            members = [list(pair) for pair in zip(group.parent_trial, masks, strict=True)]
            estimate = interval(group.difference.tolist(), members)
            rows.append(
                {
                    "permutation": permutation,
                    "level": int(str(level)),
                    "sparsity": sparsity[level],
                    **vars(estimate),
                    "n": len(group),
                }
            )
    return pd.DataFrame(rows, columns=["permutation", "level", "sparsity", "mean", "low", "high", "n"])


def verdicts(levels: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    """Return a sentence on the dense permutation and one per permutation of transported masks."""
    sentences = []
    loss = levels[(levels.split == "test") & (levels.risk == "loss") & (levels.level > 0)]
    for point in ("rewind", "end"):
        means = loss[loss.point == point].pivot_table(index="level", columns="kind", values="mean")
        if {"unaligned", "dense permutation"} <= set(means.columns):
            sentences.append(_dense_verdict(point, means[means.unaligned > 0]))
    for permutation, group in differences.groupby("permutation"):
        helps = group[group.low > 0].level.tolist()
        harms = group[group.high < 0].level.tolist()
        sentences.append(
            f"mask transport, {permutation} permutation: lower test loss than without it at levels "
            f"{helps or 'none'}, higher at {harms or 'none'}, undecided at the other "
            f"{len(group) - len(helps) - len(harms)} of {len(group)}"
        )
    return sentences


def _dense_verdict(point: str, means: pd.DataFrame) -> str:
    """`means` are the barriers by kind at the levels where unaligned pairs have one."""
    if means.empty:
        return f"{point}: not informative, because unaligned pairs have no barrier"
    share = means["dense permutation"] / means["unaligned"]
    word = "keeps" if (share < 0.5).all() else "does not keep"
    return (
        f"{point}: the dense permutation {word} the test loss barrier below half of the unaligned one at "
        f"every level (at most {share.max():.2f} of it, at level {share.idxmax()})"
    )


def draw(levels: pd.DataFrame, runs: pd.DataFrame, differences: pd.DataFrame, title: str, path: Path) -> None:
    """Draw barriers by sparsity at both points and, where there are branches, what they reach."""
    branches = set(runs.branch) - {"main"} if len(runs) else set()
    rows = 2 if branches else 1
    figure, axes = plt.subplots(rows, 2, figsize=(11, 4.3 * rows), constrained_layout=True, squeeze=False)
    for axis, point in zip(axes[0], ("rewind", "end"), strict=True):
        chosen = levels[(levels.split == "test") & (levels.risk == "loss") & (levels.point == point)]
        for kind, mark in SERIES.items():
            _line(axis, chosen[chosen.kind == kind], kind, mark)
        axis.set_title("at the rewind point" if point == "rewind" else "at the end of training")
        _finish(axis, "test loss barrier (nats)", zero=True)
    if branches:
        for name, mark in RUNS.items():
            _line(axes[1, 0], _mean_runs(runs[runs.run == name]), name, mark)
        axes[1, 0].set_title("pruned networks by their mask")
        _finish(axes[1, 0], "test loss (nats)", log=True)
        for permutation, group in differences.groupby("permutation"):
            mark = RUNS[PERMUTATIONS[str(permutation)]]
            _line(axes[1, 1], group, f"{permutation} permutation", mark)
        axes[1, 1].set_title("what permuting a transported mask gains")
        _finish(axes[1, 1], "test loss without - with permutation (nats)", zero=True)
    figure.suptitle(f"{title} (mean, 95 % interval over networks)")
    save(figure, path)


def _mean_runs(runs: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for level, group in runs.groupby("level"):
        members = [[str(replicate)] for replicate in group.replicate]
        estimate = interval(group.test_loss.tolist(), members)
        rows.append({"level": level, "sparsity": group.sparsity.mean(), **vars(estimate), "n": len(group)})
    return pd.DataFrame(rows, columns=["level", "sparsity", "mean", "low", "high", "n"])


def _line(axis: Axes, rows: pd.DataFrame, name: str, mark: Mark) -> None:
    if rows.empty:
        return
    rows = rows.sort_values("sparsity")
    label = f"{name} (n = {rows.n.max()})"
    axis.plot(
        rows.sparsity, rows["mean"], mark.line, marker=mark.marker, color=mark.colour, label=label, ms=5
    )
    axis.fill_between(rows.sparsity, rows.low, rows.high, color=mark.colour, alpha=0.13, linewidth=0)


def _finish(axis: Axes, label: str, log: bool = False, zero: bool = False) -> None:
    axis.set_xlabel("sparsity (share of weights pruned)")
    axis.set_ylabel(label)
    if log:
        axis.set_yscale("log")
    if zero:
        axis.axhline(0, color="0.4", linewidth=0.8)
    axis.grid(alpha=0.25)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False, fontsize=8)


def _text(mean: float, low: float, high: float) -> str:
    return f"{mean:.3f}" if np.isnan(low) else f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, write `figures/pruning_*.png` and return tables and verdicts."""
    barriers, trials = pd.read_parquet(folder / "barriers"), pd.read_parquet(folder / "trials")
    if trials.empty or trials.level.max() == 0:
        return "pruning: no pruned networks yet"
    parts = []
    for (dataset, model, width), group in trials.groupby(["dataset", "model", "width"]):
        title = f"{model}-{width} on {dataset}"
        same = (barriers.dataset == dataset) & (barriers.model == model) & (barriers.width == width)
        levels, runs = barriers_by_level(barriers[same], group), runs_by_level(group)
        differences = transport_differences(group)
        name = f"pruning_{model}_{width}_{dataset}.png".replace(":", "_")
        draw(levels, runs, differences, title, folder / "figures" / name)
        parts.append("\n".join([*_tables(title, levels, runs, differences), *verdicts(levels, differences)]))
    return "\n\n".join(parts)


def _tables(title: str, levels: pd.DataFrame, runs: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    lines = []
    chosen = levels[(levels.split == "test") & (levels.risk == "loss")]
    if len(chosen):
        text = chosen["mean"].map("{:.3f}".format)
        table = chosen.assign(text=text).pivot_table(
            index=["level", "sparsity"], columns=["point", "kind"], values="text", aggfunc="first"
        )
        lines += [f"{title}: mean test loss barrier of pairs by level", _plain(table)]
    means = runs.pivot_table(index="level", columns="run", values="test_loss").map("{:.3f}".format)
    lines += [f"{title}: mean test loss of the pruned networks", means.to_string()]
    if len(differences):
        moved = differences.assign(
            text=list(map(_text, differences["mean"], differences.low, differences.high))
        )
        table = moved.pivot_table(index="level", columns="permutation", values="text", aggfunc="first")
        lines += [
            f"{title}: test loss under the unpermuted minus the permuted mask, paired",
            table.to_string(),
        ]
    return lines


def _plain(table: pd.DataFrame) -> str:
    table = table.reset_index()
    table["sparsity"] = table["sparsity"].map("{:.3f}".format)
    return table.to_string(index=False)


if __name__ == "__main__":
    command(__doc__, "imp_digits", analyse)
