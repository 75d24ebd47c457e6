"""Pairs of networks by what they share and how they were aligned: means, a table and verdicts.

The functions read rows of `barriers` with three more columns: `series` says what the two networks share,
`alignment` how they were aligned (both are categoricals), and `members` lists the trials that the comparison
depends on.
"""

import pandas as pd

from analysis.statistics.deciding import THRESHOLD, decide
from analysis.statistics.spread import SPREAD, UNITS, in_words, spread, wide_table
from raysweep.vocabulary import Split

COLUMNS = ["series", "alignment", "split", "risk", *SPREAD]


def named(
    barriers: pd.DataFrame,
    series: list[str],
    alignment: list[str],
    members: list[list[str]],
    first: list[str],
) -> pd.DataFrame:
    """Add the three columns; the categories in `first` come first, then the others by length and name."""
    columns = {}
    for column, values in (("series", series), ("alignment", alignment)):
        found = set(values)
        rest = sorted(found - set(first), key=lambda name: (len(name), name))
        columns[column] = pd.Categorical(values, [name for name in first if name in found] + rest)
    return barriers.assign(**columns, members=pd.Series(members, barriers.index, dtype=object))


def summarise(chosen: pd.DataFrame) -> pd.DataFrame:
    """Return the spread of the barriers for each series, alignment, split and risk."""
    rows = []
    for (series, alignment, split), group in chosen.groupby(["series", "alignment", "split"], observed=True):
        for risk in UNITS:
            at = {"series": series, "alignment": alignment, "split": split, "risk": risk}
            rows.append({**at, **spread(group[f"{risk}_barrier"], group.members.tolist())})
    return pd.DataFrame(rows, columns=COLUMNS).astype(
        {"series": chosen.series.dtype, "alignment": chosen.alignment.dtype}
    )


def decided(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the error barriers with their decisions.

    For unaligned pairs the decision says whether they are connected without a permutation.
    """
    return decide(summary, "alignment", ["series", "split"])


def verdicts(summary: pd.DataFrame, title: str) -> list[str]:
    """Return a sentence for each series and alignment: whether its mean error barrier is at most 0.02."""
    sentences = []
    for (series, alignment), rows in decided(summary).groupby(["series", "alignment"], observed=True):
        by_split = {row.split: row for row in rows.itertuples()}
        words = [f"{split} {in_words(by_split[split])}" for split in Split if split in by_split]
        sentences.append(
            f"{title}, {series}, {alignment}: mean error barrier at most {THRESHOLD}: {'; '.join(words)}"
        )
    return sentences


def report(summary: pd.DataFrame, title: str) -> str:
    """Return the table and the verdicts."""
    head = f"{title}: mean barrier of pairs [95 % interval over networks]"
    table = wide_table(summary, ["series", "alignment"], ["risk", "split"])
    return "\n".join([head, table.to_string(), *verdicts(summary, title)])
