"""Warnings about how results were computed: differently within one setting, or not as was asked for."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from raysweep.store.files import Files
from raysweep.tables.schemas import read_table, schema

# What changes last bits. The processor counts for what it computed itself: libraries choose by its model.
NOTED = ("hardware", "software", "execution", "processor")
MIXED = {"trials": "networks", "alignments": "alignments", "barriers": "barriers"}
_SETTING = ("group", "model", "width", "dataset")
NAMED = 8  # settings in the warnings about a table

Row = Mapping[Any, Any]  # of a Parquet table, or of a data frame


def warnings(files: Files, sweep: str) -> list[str]:
    """Return the warnings about the published tables of a sweep. Raises `CorruptObject`."""
    facts = read_table(files, sweep, "provenance", ["provenance", "device", "cpu"]).to_pylist()
    processors = {row["provenance"]: row["cpu"] for row in facts if row["device"] == "cpu"}
    lines = []
    for table, what in MIXED.items():
        columns = [*_SETTING, "hardware", "software", "execution", "provenance"]
        columns = [name for name in schema(table).names if name in columns]
        rows = read_table(files, sweep, table, columns).group_by(columns).aggregate([([], "count_all")])
        found = [{**row, "processor": processors.get(row["provenance"])} for row in rows.to_pylist()]
        lines += mixtures(found, what)
    return [*lines, *fallbacks(read_table(files, sweep, "trials", ["execution", "fallback"]).to_pylist())]


def mixtures(rows: Iterable[Row], what: str = "networks") -> list[str]:
    """Return a line for each setting whose rows differ in what computed them.

    A row counts for `count_all` rows where it has this key, and once elsewhere. Rows that do not say what
    computed them, such as those of imported networks, are not counted.
    """
    by_group: dict[str, list[Row]] = {}
    for row in rows:
        by_group.setdefault(row["group"], []).append(row)
    lines = []
    for same in by_group.values():
        differing = [each for name in NOTED if (each := _differing(name, same))]
        if differing:
            first = same[0]
            setting = f"{first['model']}, width {first['width']}, on {first['dataset']}"
            lines.append(
                f"warning: the {what} of one setting ({setting}, group {first['group']}) differ in "
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
    counts: Counter[str] = Counter()
    for row in rows:
        if isinstance(value := row.get(name), str):
            counts[value] += row.get("count_all", 1)
    words = (f"{value} ({count})" for value, count in sorted(counts.items()))
    return f"{name}: {' and '.join(words)}" if len(counts) > 1 else ""
