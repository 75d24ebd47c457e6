"""What a figure is about: title and file name from the columns of a table, and the rows that belong to it.

`by_networks`, `by_setting` and `by_width` are the only ways in which analyses split tables, so that no key
that a sweep varies is averaged over.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from analysis.members import trial_of
from analysis.variants import variants


@dataclass(frozen=True)
class Setting:
    """Networks of one kind on one data set, aligned by one method (None: by none, or by several).

    `variant` says what else of `train` sets them apart from others of the sweep ("": nothing).
    """

    dataset: str
    model: str
    norm: str
    method: str | None = None
    width: int | None = None
    variant: str = ""

    @property
    def title(self) -> str:
        """For people: `vgg16-64 on cifar10, norm layer, weight matching, learning rate 0.1`."""
        size = "" if self.width is None else f"-{self.width}"
        words = [f"{self.model}{size} on {self.dataset}"]
        words += [] if self.norm == "none" else [f"norm {self.norm}"]
        words += [self.method.replace("_", " ")] if self.method else []
        words += [self.variant] if self.variant else []
        return ", ".join(words)

    @property
    def stem(self) -> str:
        """For file names; weight matching is the default and goes without saying."""
        words = [self.model.replace(":", "_")]
        words += [] if self.width is None else [str(self.width)]
        words += [] if self.norm == "none" else [self.norm]
        words += [self.dataset]
        words += [self.method] if self.method not in (None, "weight_matching") else []
        words += [re.sub(r"[^\w.-]+", "_", self.variant).strip("_")] if self.variant else []
        return "_".join(words)


Parts = Iterator[tuple[Setting, pd.DataFrame]]


def by_networks(rows: pd.DataFrame, trials: pd.DataFrame) -> Parts:
    """Split rows of `trials`, or of a table with `networks`, by data set, model, norm and variant.

    `trials` is the sweep's whole table. Networks of several widths stay together, and so do all methods.
    """
    own = rows.trial_id if "trial_id" in rows else rows.networks.str[0].map(trial_of)
    names = own.map(variants(trials)).rename("variant")
    for (dataset, model, norm, variant), group in rows.groupby(["dataset", "model", "norm", names]):
        yield Setting(str(dataset), str(model), str(norm), variant=str(variant)), group


def by_setting(barriers: pd.DataFrame, trials: pd.DataFrame) -> Parts:
    """Split as `by_networks` and by method; unaligned rows go with every method."""
    for setting, group in by_networks(barriers, trials):
        for method in sorted(group.method.dropna().unique()) or [None]:
            yield replace(setting, method=method), group[group.method.isna() | (group.method == method)]


def by_width(parts: Iterable[tuple[Setting, pd.DataFrame]]) -> Parts:
    """Split further by width: `by_width(by_setting(barriers, trials))`."""
    for setting, rows in parts:
        for width, group in rows.groupby("width"):
            yield replace(setting, width=int(float(str(width)))), group  # float where the column has nulls


def one_statistics(barriers: pd.DataFrame) -> pd.DataFrame:
    """Of groups with BatchNorm keep the rows with statistics of their mixtures, where there are any."""
    recomputed = barriers[barriers.statistics == "recomputed"]
    return barriers[(barriers.statistics == "recomputed") | ~barriers.group.isin(recomputed.group)]


def dense_ends(barriers: pd.DataFrame) -> pd.DataFrame:
    """Comparisons of networks of one configuration as training left them: not pruned, at the last step."""
    return ends(barriers[barriers.across.isna()]).astype({"width": int})  # null only across widths


def ends(barriers: pd.DataFrame) -> pd.DataFrame:
    """Comparisons at the last step of their group, without pruning, by permutations that were found there."""
    dense = barriers[barriers.level == 0]
    last = dense.groupby("group").step.transform("max")
    return one_statistics(dense[(dense.step == last) & (dense.permutation_step.fillna(last) == last)])
