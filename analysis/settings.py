"""What a figure is about: title and file name from the columns of a table, and the rows that belong to it."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Setting:
    """Networks of one kind on one data set, aligned by one method (None: by none, or by several)."""

    dataset: str
    model: str
    norm: str
    method: str | None = None
    width: int | None = None

    @property
    def title(self) -> str:
        """For people: `vgg16-64 on cifar10, norm layer, weight matching`."""
        size = "" if self.width is None else f"-{self.width}"
        words = [f"{self.model}{size} on {self.dataset}"]
        words += [] if self.norm == "none" else [f"norm {self.norm}"]
        words += [self.method.replace("_", " ")] if self.method else []
        return ", ".join(words)

    @property
    def stem(self) -> str:
        """For file names; weight matching is the default and goes without saying."""
        words = [self.model.replace(":", "_")]
        words += [] if self.width is None else [str(self.width)]
        words += [] if self.norm == "none" else [self.norm]
        words += [self.dataset]
        words += [self.method] if self.method not in (None, "weight_matching") else []
        return "_".join(words)


def by_setting(barriers: pd.DataFrame) -> Iterator[tuple[Setting, pd.DataFrame]]:
    """Split rows by data set, model, norm and method; unaligned rows go with every method."""
    for (dataset, model, norm), group in barriers.groupby(["dataset", "model", "norm"]):
        for method in sorted(group.method.dropna().unique()) or [None]:
            rows = group[group.method.isna() | (group.method == method)]
            yield Setting(str(dataset), str(model), str(norm), method), rows


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
