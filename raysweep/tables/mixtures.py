"""Warnings about how networks were trained: differently within one setting, or not as was asked for."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

NOTED = ("hardware", "software", "execution")
NAMED = 8  # settings in the warnings of a sweep

Row = Mapping[Any, Any]  # of a Parquet table, or of a data frame


def mixtures(trials: Iterable[Row]) -> list[str]:
    """Return a line for each setting whose rows of the table `trials` differ in what computed them.

    Rows that do not say what computed them, such as those of imported networks, are not counted.
    """
    by_group: dict[str, list[Row]] = {}
    for row in trials:
        by_group.setdefault(row["group"], []).append(row)
    lines = []
    for rows in by_group.values():
        differing = [each for name in NOTED if (each := _differing(name, rows))]
        if differing:
            first = rows[0]
            setting = f"{first['model']}, width {first['width']}, on {first['dataset']}"
            lines.append(
                f"warning: the networks of one setting ({setting}, group {first['group']}) differ in "
                f"{'; in '.join(differing)}"
            )
    more = [f"warning: so do those of {len(lines) - NAMED} more settings"] if len(lines) > NAMED else []
    return lines[:NAMED] + more


def fallbacks(trials: Iterable[Row]) -> list[str]:
    """Return a line for each reason for which training steps were not executed as was asked for."""
    counts = Counter(
        (row["execution"], row["fallback"]) for row in trials if isinstance(row["fallback"], str)
    )
    return [
        f"warning: the training steps of {count} network{'s' if count > 1 else ''} are {way}, {reason}"
        for (way, reason), count in sorted(counts.items())
    ]


def _differing(name: str, rows: Iterable[Row]) -> str:
    """Return the values of a column with their counts; nothing where there is only one."""
    counts = Counter(row[name] for row in rows if isinstance(row[name], str))
    words = (f"{value} ({count})" for value, count in sorted(counts.items()))
    return f"{name}: {' and '.join(words)}" if len(counts) > 1 else ""
