"""Pairs of networks by what they share and how they were aligned: means, a table, verdicts, a figure.

The functions read rows of `barriers` with three more columns: `series`, what the two networks share, `how`
they were aligned (both ordered categories), and `members`, the trials that a comparison depends on.
"""

import pandas as pd

from analysis.statistics.deciding import THRESHOLD, decide
from analysis.statistics.spread import UNITS, in_words, spread, wide_table
from raysweep.vocabulary import Split


def named(
    barriers: pd.DataFrame, series: list[str], how: list[str], members: list[list[str]], first: list[str]
) -> pd.DataFrame:
    """Add the three columns; the categories named in `first` come first, the others by length and name."""
    columns = {}
    for column, values in (("series", series), ("how", how)):
        found = set(values)
        rest = sorted(found - set(first), key=lambda name: (len(name), name))
        columns[column] = pd.Categorical(values, [name for name in first if name in found] + rest)
    return barriers.assign(**columns, members=pd.Series(members, barriers.index, dtype=object))


def summarise(chosen: pd.DataFrame) -> pd.DataFrame:
    """Return a row per series, alignment, split and risk: mean, interval, maximum, share connected, n."""
    rows = []
    for (series, how, split), group in chosen.groupby(["series", "how", "split"], observed=True):
        for risk in UNITS:
            at = {"series": series, "how": how, "split": split, "risk": risk}
            rows.append({**at, **spread(group[f"{risk}_barrier"], group.members.tolist())})
    return pd.DataFrame(rows).astype({"series": chosen.series.dtype, "how": chosen.how.dtype})


def decided(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the error barrier with what each says of the claim.

    Without a permutation there is no claim: those rows say whether the pairs are connected as they are.
    """
    return decide(summary, "how", ["series", "split"])


def verdicts(summary: pd.DataFrame, title: str) -> list[str]:
    """Return a sentence per series and alignment: whether its mean error barrier is at most 0.02."""
    sentences = []
    for (series, how), rows in decided(summary).groupby(["series", "how"], observed=True):
        by_split = {row.split: row for row in rows.itertuples()}
        words = [f"{split} {in_words(by_split[split])}" for split in Split if split in by_split]
        sentences.append(
            f"{title}, {series}, {how}: mean error barrier at most {THRESHOLD}: {'; '.join(words)}"
        )
    return sentences


def report(summary: pd.DataFrame, title: str) -> str:
    """Return the table and the verdicts."""
    head = f"{title}: mean barrier of pairs [95 % interval over networks]"
    table = wide_table(summary, ["series", "how"], ["risk", "split"])
    return "\n".join([head, table.to_string(), *verdicts(summary, title)])
