"""Settings: splitting a table by the configurations of a sweep, with a title and a file name for each.

Analyses split tables only by `by_networks`, `by_setting` and `by_width`, so that no mean is taken over a key
that the sweep varies.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from analysis.rows.quality import at_chance
from raysweep.tables.frames import groups, read_frame
from raysweep.tables.variants import prunings, trial_of, variants
from raysweep.vocabulary import Kind, Split, Statistics

# Columns of `barriers` by which rows are chosen and split, and the barriers of pairs themselves.
CHOSEN_BY = ("interpolation", "kind", "split", "across", "level", "step", "permutation_step")
SPLIT_BY = ("networks", "group", "dataset", "model", "norm", "width", "method", "statistics")
BARRIERS = ("loss_barrier", "error_barrier")
PREFERRED = (Statistics.RECOMPUTED, Statistics.KEPT, Statistics.REPAIRED)  # one is answered by


@dataclass(frozen=True)
class Setting:
    """The configuration that replicates share, and the method that aligned them (None: no method or several).

    `variant` says in which other keys of `train` it differs from the other settings of the sweep ("": in
    none), and `pruning` in which keys of `prune`. `statistics` says how statistics were treated ("": there
    are none), and `chance` whether all or some of the networks are no better than guessing ("": none of
    them).
    """

    dataset: str
    model: str
    norm: str
    method: str | None = None
    width: int | None = None
    variant: str = ""
    pruning: str = ""
    statistics: str = ""
    chance: str = ""

    @property
    def title(self) -> str:
        """The title for people: `vgg16-64 on cifar10, norm layer, weight matching, learning rate 0.1`."""
        size = "" if self.width is None else f"-{self.width}"
        words = [f"{self.model}{size} on {self.dataset}"]
        words += [] if self.norm == "none" else [f"norm {self.norm}"]
        words += [self.method.replace("_", " ")] if self.method else []
        words += [each for each in (self.variant, self.pruning) if each]
        of = "hidden units" if self.statistics == Statistics.REPAIRED else "running statistics"
        words += [f"{self.statistics} {of}"] if self.statistics else []
        words += [f"{self.chance.upper()} NETWORKS AT CHANCE"] if self.chance else []
        return ", ".join(words)

    @property
    def stem(self) -> str:
        """The stem of file names; weight matching is the default and is not named."""
        words = [self.model.replace(":", "_")]
        words += [] if self.width is None else [str(self.width)]
        words += [] if self.norm == "none" else [self.norm]
        words += [self.dataset]
        words += [] if self.method in (None, "weight_matching") else [str(self.method).replace(":", "_")]
        varied = f"{self.variant} {self.pruning}".strip()
        words += [re.sub(r"[^\w.-]+", "_", varied).strip("_")] if varied else []
        words += [self.statistics] if self.statistics else []
        return "_".join(words)


Parts = Iterator[tuple[Setting, pd.DataFrame]]


def by_networks(rows: pd.DataFrame, trials: pd.DataFrame, ignored: Iterable[str] = ()) -> Parts:
    """Split rows of `trials`, or of a table with `networks`, by setting, but not by method or width.

    `trials` is the whole table of the sweep. Keys of `train` in `ignored` distinguish no variants. Widths and
    methods stay together. The rows get the column `guesses`: whether one of their networks is no better than
    guessing.
    """
    members = rows.networks if "networks" in rows else rows.trial_id.map(lambda trial: [trial])
    lost = at_chance(trials)
    rows = rows.assign(guesses=[any(trial_of(each) in lost for each in those) for those in members])
    keys = ["dataset", "model", "norm", variants(rows, trials, ignored), treated_statistics(rows, trials)]
    for values, group in groups(rows, keys):
        dataset, model, norm, variant, statistics = map(str, values)
        setting = Setting(dataset, model, norm, variant=variant, statistics=statistics)
        yield replace(setting, chance=_chance(group)), group


def treated_statistics(rows: pd.DataFrame, trials: pd.DataFrame) -> pd.Series:
    """Return for each row how statistics were treated; "" where they were kept and there are none."""
    if "statistics" not in rows or "running_statistics" not in trials:
        return pd.Series("", rows.index, name="treated")
    has = set(trials[trials.running_statistics.eq(True)].trial_id)
    treated = rows.networks.str[0].map(trial_of).isin(has) | (rows.statistics == Statistics.REPAIRED)
    return rows.statistics.where(treated, "").rename("treated")


def _chance(rows: pd.DataFrame) -> str:
    return "all" if rows.guesses.all() else "some" if rows.guesses.any() else ""


def by_setting(barriers: pd.DataFrame, trials: pd.DataFrame, ignored: Iterable[str] = ()) -> Parts:
    """Split as `by_networks` does, and by method; unaligned rows are in the part of every method."""
    for setting, group in by_networks(barriers, trials, ignored):
        for method in sorted(group.method.dropna().unique()) or [None]:
            yield replace(setting, method=method), group[group.method.isna() | (group.method == method)]


def by_width(parts: Iterable[tuple[Setting, pd.DataFrame]]) -> Parts:
    """Split parts further by width, as in `by_width(by_setting(barriers, trials))`."""
    for setting, rows in parts:
        for width, group in rows.groupby("width"):
            size = int(float(str(width)))  # float where the column has nulls
            yield replace(setting, width=size, chance=_chance(group)), group


def pruned_settings(trials: pd.DataFrame) -> Iterator[tuple[Setting, pd.DataFrame]]:
    """Split the trials of a sweep by setting, width and way to prune; yield the parts with pruned levels."""
    for pruning, part in by_pruning(trials):
        for setting, group in by_width(by_networks(part, trials)):
            if group.level.max() > 0:
                yield replace(setting, pruning=pruning), group


def by_pruning(trials: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Split the trials of a sweep by the way to prune, in words; the dense networks are in every part."""
    words, pruned = prunings(trials, trials), trials.level > 0
    for pruning in sorted(set(words[pruned])) or [""]:
        yield pruning, trials[~pruned | (words == pruning)]


def pruned_pairs(
    barriers: pd.DataFrame, trials: pd.DataFrame
) -> Iterator[tuple[Setting, pd.DataFrame, pd.DataFrame]]:
    """Split comparisons within settings by setting, method, width and way to prune.

    Each part comes with the trials that are pruned in this way, and the dense networks.
    """
    barriers = one_statistics(barriers)
    first = barriers.networks.str[0].map(trial_of)
    for pruning, part in by_pruning(trials):
        for setting, rows in by_width(by_setting(barriers[first.isin(part.trial_id)], trials)):
            yield replace(setting, pruning=pruning), rows, part


def one_statistics(barriers: pd.DataFrame) -> pd.DataFrame:
    """Keep one treatment of statistics per group: the first of `PREFERRED` that was measured."""
    rank = barriers.statistics.map(PREFERRED.index)
    return barriers[rank == rank.groupby(barriers.group).transform("min")]


def read_barriers(folder: Path, *more: str, **only: str | int | None) -> pd.DataFrame:
    """Return rows of `barriers` with the columns above and some more, but no others; see `read_frame`."""
    return read_frame(folder, "barriers", (*CHOSEN_BY, *SPLIT_BY, *BARRIERS, *more), (), **only)


def read_one_split(folder: Path, *more: str, **only: str | int | None) -> pd.DataFrame:
    """Return what `read_barriers` does on the test set or, where nothing was measured there, on train."""
    found = read_barriers(folder, *more, split=Split.TEST, **only)
    return found if len(found) else read_barriers(folder, *more, split=Split.TRAIN, **only)


def read_dense_ends(folder: Path, trials: pd.DataFrame, *more: str, **only: str | int | None) -> pd.DataFrame:
    """Return the `dense_ends` of a sweep as `read_one_split` returns rows; no other rows are read."""
    return dense_ends(read_one_split(folder, *more, across=None, level=0, **only), trials)


def dense_ends(barriers: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons within one setting of networks at the end of training, before any pruning."""
    within = barriers[barriers.across.isna()]
    return ends(within, trials).astype({"width": int})  # null only across widths


def ends(barriers: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons of dense networks at their last step, under permutations found at that step.

    The last step is that of the run, whether or not a network from there has been compared yet.
    """
    runs = trials[trials.level == 0]
    last = dict(zip(runs.trial_id, runs.steps, strict=True))
    keys = barriers[["level", "group", "step", "permutation_step", "statistics", "kind", "across"]]
    keys = keys.assign(last=barriers.networks.str[0].map(trial_of).map(last)).reset_index(drop=True)
    # Those of two settings are only planned at the end, which the other setting may reach at another step.
    of_two = keys.across.notna() | (keys.kind == Kind.TRANSFERRED)
    found_at_end = of_two | (keys.permutation_step.fillna(keys.step) == keys.step)
    at_end = keys[(keys.level == 0) & (keys.step == keys["last"]) & found_at_end]
    return barriers[keys.index.isin(one_statistics(at_end).index)]  # all columns are copied once
