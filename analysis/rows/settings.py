"""What a figure is about: title and file name from the columns of a table, and the rows that belong to it.

`by_networks`, `by_setting` and `by_width` are the only ways in which analyses split tables, so that no key
that a sweep varies is averaged over.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from analysis.rows.quality import at_chance
from raysweep.sweep.variants import trial_of, variants
from raysweep.vocabulary import Method, Statistics


@dataclass(frozen=True)
class Setting:
    """Networks of one kind on one data set, aligned by one method (None: by none, or by several).

    `variant` says what else of `train` sets them apart from others of the sweep ("": nothing), `statistics`
    how their running statistics were treated ("": there are none), and `chance` whether all or some of them
    are no better than guessing ("": none is).
    """

    dataset: str
    model: str
    norm: str
    method: str | None = None
    width: int | None = None
    variant: str = ""
    statistics: str = ""
    chance: str = ""

    @property
    def title(self) -> str:
        """For people: `vgg16-64 on cifar10, norm layer, weight matching, learning rate 0.1`."""
        size = "" if self.width is None else f"-{self.width}"
        words = [f"{self.model}{size} on {self.dataset}"]
        words += [] if self.norm == "none" else [f"norm {self.norm}"]
        words += [self.method.replace("_", " ")] if self.method else []
        words += [self.variant] if self.variant else []
        words += [f"{self.statistics} running statistics"] if self.statistics else []
        words += [f"{self.chance.upper()} NETWORKS AT CHANCE"] if self.chance else []
        return ", ".join(words)

    @property
    def stem(self) -> str:
        """For file names; weight matching is the default and goes without saying."""
        words = [self.model.replace(":", "_")]
        words += [] if self.width is None else [str(self.width)]
        words += [] if self.norm == "none" else [self.norm]
        words += [self.dataset]
        words += [self.method] if self.method not in (None, Method.WEIGHT_MATCHING) else []
        words += [re.sub(r"[^\w.-]+", "_", self.variant).strip("_")] if self.variant else []
        words += [self.statistics] if self.statistics else []
        return "_".join(words)


Parts = Iterator[tuple[Setting, pd.DataFrame]]


def by_networks(rows: pd.DataFrame, trials: pd.DataFrame, but: Iterable[str] = ()) -> Parts:
    """Split rows of `trials`, or of a table with `networks`, by what `Setting` has but for method and width.

    `trials` is the sweep's whole table; keys of `train` in `but` set no variants apart. Networks of several
    widths stay together, and so do all methods. The rows get a column `guesses`: whether one of their
    networks is no better than guessing.
    """
    members = rows.networks if "networks" in rows else rows.trial_id.map(lambda trial: [trial])
    lost = at_chance(trials)
    rows = rows.assign(guesses=[any(trial_of(each) in lost for each in those) for those in members])
    keys = ["dataset", "model", "norm", variants(rows, trials, but), told(rows, trials)]
    for values, group in rows.groupby(keys):
        dataset, model, norm, variant, statistics = map(str, values)
        setting = Setting(dataset, model, norm, variant=variant, statistics=statistics)
        yield replace(setting, chance=_chance(group)), group


def told(rows: pd.DataFrame, trials: pd.DataFrame) -> pd.Series:
    """Return how running statistics were treated in every row; "" where there are none."""
    if "statistics" not in rows or "running_statistics" not in trials:
        return pd.Series("", rows.index, name="told")
    has = set(trials[trials.running_statistics.eq(True)].trial_id)
    return rows.statistics.where(rows.networks.str[0].map(trial_of).isin(has), "").rename("told")


def _chance(rows: pd.DataFrame) -> str:
    return "all" if rows.guesses.all() else "some" if rows.guesses.any() else ""


def by_setting(barriers: pd.DataFrame, trials: pd.DataFrame, but: Iterable[str] = ()) -> Parts:
    """Split as `by_networks` and by method; unaligned rows go with every method."""
    for setting, group in by_networks(barriers, trials, but):
        for method in sorted(group.method.dropna().unique()) or [None]:
            yield replace(setting, method=method), group[group.method.isna() | (group.method == method)]


def by_width(parts: Iterable[tuple[Setting, pd.DataFrame]]) -> Parts:
    """Split further by width: `by_width(by_setting(barriers, trials))`."""
    for setting, rows in parts:
        for width, group in rows.groupby("width"):
            size = int(float(str(width)))  # float where the column has nulls
            yield replace(setting, width=size, chance=_chance(group)), group


def pruned_groups(trials: pd.DataFrame) -> Iterator[tuple[Setting, pd.DataFrame]]:
    """Split the trials of a sweep by everything but replicates and levels; only those with pruned levels."""
    for setting, group in by_width(by_networks(trials, trials)):
        if group.level.max() > 0:
            yield setting, group


def one_statistics(barriers: pd.DataFrame) -> pd.DataFrame:
    """Of groups with BatchNorm keep the rows with statistics of their mixtures, where there are any."""
    recomputed = barriers[barriers.statistics == Statistics.RECOMPUTED]
    return barriers[(barriers.statistics == Statistics.RECOMPUTED) | ~barriers.group.isin(recomputed.group)]


def dense_ends(barriers: pd.DataFrame) -> pd.DataFrame:
    """Comparisons of networks of one configuration as training left them: not pruned, at the last step."""
    return ends(barriers[barriers.across.isna()]).astype({"width": int})  # null only across widths


def ends(barriers: pd.DataFrame) -> pd.DataFrame:
    """Comparisons at the last step of their group, without pruning, by permutations that were found there."""
    dense = barriers[barriers.level == 0]
    last = dense.groupby("group").step.transform("max")
    return one_statistics(dense[(dense.step == last) & (dense.permutation_step.fillna(last) == last)])
