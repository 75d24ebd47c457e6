"""The answer of a sweep in a few lines: from where on each claim holds, and what would decide the rest."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from textwrap import wrap

import pandas as pd

from analysis.rows.settings import Setting, by_networks, by_width
from analysis.rows.tables import Tables, read
from analysis.statistics.deciding import HOLDS, NOT_INFORMATIVE, STRADDLES, THRESHOLD, UNDECIDED
from analysis.statistics.jackknife import MINIMUM_NETWORKS, TOO_FEW, Interval
from analysis.statistics.replicates import MOST, enough
from analysis.summary.evidence import PRUNING, STRONG, STRONG_WORDS, TRAINING, WEAK, evidence
from analysis.summary.verdict import Verdict
from raysweep.vocabulary import Kind, Split

COLUMNS: dict[str, Callable[[Verdict], bool]] = {  # the claims of the answer; the page has all
    "weak": lambda each: each.claim == WEAK,
    "strong via a third": lambda each: each.claim == STRONG and each.what == STRONG_WORDS[Kind.VIA],
    "jointly": lambda each: each.claim == STRONG and each.what == STRONG_WORDS[Kind.JOINT],
    "along a training run": lambda each: each.claim == TRAINING,  # the last permutation comes last
    "along pruning": lambda each: each.claim == PRUNING,  # the ends of the levels come last
}
COLUMNS_OF_TEXT = 100
ROWS = 20  # settings in the table; the page has all
Cells = dict[str, list[Verdict]]  # by claim; sorted by width
Networks = dict[int, "tuple[str, pd.Series[float]]"]  # by width: which are at chance, and their errors


def answer(folder: Path) -> list[str]:
    """Return the lines, of at most about 100 columns; none where a sweep has nothing to decide."""
    tables = read(folder)
    found = evidence(tables)
    split = Split.TEST if any(each.split == Split.TEST for each in found) else Split.TRAIN
    families: dict[str, Cells] = {}
    for each in found:
        column = next((name for name, belongs in COLUMNS.items() if belongs(each)), None)
        if column and each.split == split:
            families.setdefault(each.family, {}).setdefault(column, []).append(each)
    families = {
        name: {column: _by_width(cells[column]) for column in COLUMNS if column in cells}
        for name, cells in families.items()
    }
    if not families:
        return []
    dense = tables.trials[tables.trials.level == 0]
    replicates = int(dense.groupby("group").trial_id.nunique().max())
    one = len(families) == 1
    parts = _one(families, tables) if one else _table(families, tables)
    common = ", ".join(_common(list(families)))
    head = f"{common}: is the mean {split} error barrier at most {THRESHOLD}?".lstrip(": ")
    return [head, *parts, *_undecided(families, replicates)]


def _wrapped(text: str) -> list[str]:
    return wrap(text, COLUMNS_OF_TEXT, subsequent_indent="  ")


def _by_width(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return one verdict for each width: the last of them."""
    last = {each.setting.width or 0: each for each in verdicts}
    return [last[width] for width in sorted(last)]


def _one(families: dict[str, Cells], tables: Tables) -> list[str]:
    ((_, cells),) = families.items()
    claims = "; ".join(f"{column}: {_holds(found)}" for column, found in cells.items())
    networks = _networks(_setting(cells), tables)
    own = ", ".join(f"{width}: {_mean(same)}" for width, (_, same) in networks.items())
    lost = _at_chance(networks, "{} networks at chance at width {}")
    errors = "; ".join([f"the networks' own test error by width: {own}", *lost])
    return [*_wrapped(claims), *_wrapped(errors)]


def _table(families: dict[str, Cells], tables: Tables) -> list[str]:
    """Return a table with a line for each setting, whatever keys are swept."""
    common = _common(list(families))
    columns = [column for column in COLUMNS if any(column in cells for cells in families.values())]
    rows = [["by width", "test error", *columns, "at chance"]]
    for title, cells in families.items():
        name = ", ".join(part for part in title.split(", ") if part not in common)
        networks = _networks(_setting(cells), tables)
        errors = [_mean(same) for _, same in networks.values()]
        own = " to ".join(dict.fromkeys([*errors[:1], *errors[-1:]]))
        claims = (_holds(cells.get(column, [])).replace("width ", "") for column in columns)
        rows.append([name, own, *claims, "; ".join(_at_chance(networks, "{} at {}"))])
    if not any(row[-1] for row in rows[1:]):  # no networks are at chance
        rows = [row[:-1] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    more = len(families) - ROWS
    return [*lines[: ROWS + 1], *([f"and {more} more settings, see the page"] if more > 0 else [])]


def _common(titles: Sequence[str]) -> list[str]:
    """Return the parts of the first title that all titles have."""
    parts = [title.split(", ") for title in titles]
    return [part for part in parts[0] if all(part in each for each in parts)]


def _holds(verdicts: list[Verdict]) -> str:
    """Return from which width on a claim holds; it holds at every larger width that is informative."""
    told = [each for each in verdicts if each.state != NOT_INFORMATIVE]
    if not told:
        return NOT_INFORMATIVE if verdicts else ""
    above = list(takewhile(lambda each: each.state == HOLDS, reversed(told)))
    if len(verdicts) == 1:
        return told[0].state
    if above:
        return f"from width {above[-1].setting.width} on"
    return f"{told[-1].state} at width {told[-1].setting.width}"


def _setting(cells: Cells) -> Setting:
    """Return what the networks of a family have in common, however they were aligned."""
    return _of_networks(next(iter(cells.values()))[0].setting)


def _of_networks(setting: Setting) -> Setting:
    return replace(setting, width=None, method=None, pruning="", statistics="", chance="")


def _networks(setting: Setting, tables: Tables) -> Networks:
    """Return which dense networks of a setting are at chance, and their test errors, by width."""
    dense = tables.trials[tables.trials.level == 0]
    for each, rows in by_networks(dense, tables.trials):
        if _of_networks(each) == setting:
            parts = by_width([(each, rows)])
            return {own.width or 0: (own.chance, same.test_error) for own, same in parts}
    return {}


def _at_chance(networks: Networks, words: str) -> list[str]:
    """Return at which widths all and at which some networks are no better than guessing, in these words."""
    found: dict[str, list[str]] = {}
    for width, (chance, _) in networks.items():
        found.setdefault(chance, []).append(str(width))
    return [words.format(each, ", ".join(found[each])) for each in ("all", "some") if each in found]


def _mean(errors: "pd.Series[float]") -> str:
    return f"{errors.mean():.3f}"


def _undecided(families: dict[str, Cells], replicates: int) -> list[str]:
    """Return what is undecided, and how many replicates would decide it if the means stay as they are."""
    open_ones = [
        (column, each)
        for cells in families.values()
        for column, found in cells.items()
        for each in found
        if each.state == UNDECIDED
    ]
    if not open_ones:
        return []
    if len(families) == 1:
        return _wrapped(_by_claim(open_ones, replicates))
    total = sum(len(found) for cells in families.values() for found in cells.values())
    needed = [_needed(each, replicates) for _, each in open_ones]
    finite = sorted(count for count in needed if count)
    words = [
        f"{_in_words(count)} replicates would decide {sum(n <= count for n in finite)}"
        for count in _some(finite)
    ]
    return ["; ".join([f"undecided: {len(open_ones)} of {total}", *words])]


def _by_claim(open_ones: list[tuple[str, Verdict]], replicates: int) -> str:
    words: dict[str, list[str]] = {}
    for column, each in open_ones:
        width = f"{each.setting.width}"
        words.setdefault(column, []).append(f"{width} ({_remedy(each, replicates)})")
    return "undecided (replicates that would do): " + "; ".join(
        f"{column} at width {', '.join(found)}" for column, found in words.items()
    )


def _remedy(verdict: Verdict, replicates: int) -> str:
    count = _needed(verdict, replicates)
    if count:
        return _in_words(count)
    straddle = all(each.reason == STRADDLES for each in _undecided_means(verdict))
    return f"over {MOST}" if straddle else verdict.reason


def _in_words(count: int) -> str:
    """Return a number of replicates; with the fewest that have an interval, nobody knows whether they do."""
    return f"at least {count}" if count == MINIMUM_NETWORKS else str(count)


def _needed(verdict: Verdict, replicates: int) -> int | None:
    """Return how many replicates would decide a claim at once, at every epoch or level; None if unknown."""
    counts = [_enough(each, replicates) for each in _undecided_means(verdict)]
    finite = [count for count in counts if count]
    return max(finite) if len(finite) == len(counts) else None


def _enough(found: Interval, replicates: int) -> int | None:
    if found.reason == TOO_FEW:
        return MINIMUM_NETWORKS
    if found.reason != STRADDLES:
        return None
    return enough(found.mean, found.low, found.high, replicates)


def _undecided_means(verdict: Verdict) -> Sequence[Interval]:
    alone = Interval(verdict.mean, verdict.low, verdict.high, verdict.reason)
    return verdict.undecided or (alone,)


def _some(counts: list[int]) -> list[int]:
    """Return the median and the largest of some sorted numbers."""
    return sorted({counts[len(counts) // 2], counts[-1]}) if counts else []
