"""The Parquet tables of a sweep, and what their columns say of their rows."""

from typing import Any

import pyarrow as pa

from raysweep.store.files import Files
from raysweep.store.parquet import parquet_table
from raysweep.tables.columns import alignments, barriers, failures, measures, provenance, trials
from raysweep.tables.keys import Column

BUCKETS = 16  # a row lies in the bucket of the first hexadecimal digit of its id

TABLES: dict[str, list[Column]] = {
    "trials": trials.TRIALS,
    "metrics": trials.METRICS,
    "alignments": alignments.ALIGNMENTS,
    "layers": alignments.LAYERS,
    "agreements": alignments.AGREEMENTS,
    "barriers": barriers.BARRIERS,
    "curves": barriers.CURVES,
    "measures": measures.MEASURES,
    "failures": failures.FAILURES,
    "provenance": provenance.PROVENANCE,
}
WITHIN = {  # the columns in which rows that are averaged may differ
    "trials": trials.TRIALS_WITHIN,
    "alignments": alignments.ALIGNMENTS_WITHIN,
    "agreements": alignments.AGREEMENTS_WITHIN,
    "barriers": barriers.BARRIERS_WITHIN,
}


def schema(table: str) -> pa.Schema:
    return pa.schema([(name, kind) for name, kind, _ in TABLES[table]])


def dimensions(table: str) -> list[str]:
    """Return the columns that say what a row is about: rows that differ in one of them are not averaged.

    A new column is one of them unless `WITHIN` lists it.
    """
    return [name for name, _, _ in TABLES[table] if name not in WITHIN[table]]


def grouping(rows: Any, table: str, *first: str) -> list[str]:
    """Return the columns `first` of a frame and those further dimensions of its table that distinguish rows.

    A mean over rows that agree in all of them mixes nothing: `rows.groupby(grouping(rows, "barriers",
    "width"), dropna=False)`. A column is left out where those before it distinguish the same rows; `group`
    comes last.
    """
    keys = list(first)
    lists = {name for name, kind, _ in TABLES[table] if pa.types.is_list(kind)}
    rest = [name for name in dimensions(table) if name not in {*first, *lists}]
    distinct = len(rows[keys].drop_duplicates()) if keys else 1
    for name in sorted(rest, key="group".__eq__):
        more = len(rows[[*keys, name]].drop_duplicates())
        if more > distinct:
            keys, distinct = [*keys, name], more
    return keys


def read_table(files: Files, sweep: str, table: str, columns: list[str] | None = None) -> pa.Table:
    """Return a published table; an empty one where nothing is published. Raises `CorruptObject`."""
    names = files.list(f"sweeps/{sweep}/{table}")
    parts = [
        parquet_table(files.where(name), content, schema(table), columns)
        for name, content in zip(names, files.at_once(files.get, names), strict=True)
    ]
    empty = schema(table).empty_table()
    return pa.concat_tables(parts) if parts else empty.select(columns) if columns else empty


def describe() -> str:
    """Return the documentation of all tables as Markdown, for the README."""
    lines = []
    for table, columns in TABLES.items():
        lines += [f"### `{table}`", "", "| column | type | meaning |", "| --- | --- | --- |"]
        lines += [f"| `{name}` | {kind} | {meaning} |" for name, kind, meaning in columns]
        lines.append("")
    return "\n".join(lines)
