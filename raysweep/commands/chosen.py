"""The networks that a command names: by the ids of the tables, or by what the table `trials` says of them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import yaml

from raysweep.choices import nearest
from raysweep.errors import UserError
from raysweep.plan.identity import Network
from raysweep.plan.record import sweep_names
from raysweep.store.files import Files
from raysweep.sweep.read_yaml import read_yaml
from raysweep.tables.schemas import TABLES, read_table

ID = re.compile(r"(\w+)@(\d+)@(\d+)")
FORM = "expected trial_id@level@step, or column=value as in width=64 replicate=0,1"
Row = Mapping[str, Any]


def chosen_networks(files: Files, words: Sequence[str], sweep: str | None) -> list[Network]:
    """Return networks in the order of their names, or of their groups and replicates.

    `words` are networks (`trial_id@level@step`), or conditions (`column=value` or `column=value,value`) on
    the rows of the table `trials` of a sweep, all of which hold; `level` is 0 and `step` the last one unless
    it is given. Without a name it is the only sweep under the root. Raises `UserError` for any other form,
    for a column that does not exist, where there is no such network, and for a value that none of them has.
    """
    parts = [part for word in words for part in word.split()]
    named = [ID.fullmatch(part) for part in parts]
    if parts and all(named):
        return [Network(found[1], int(found[2]), int(found[3])) for found in named if found]
    conditions: dict[str, list[Any]] = {"level": [0]}
    for part in parts:
        column, equals, values = part.partition("=")
        if not equals:
            raise UserError(f"--networks {part}: {FORM}")
        _check_column(column)
        conditions[column] = [_value(part, value) for value in values.split(",")]
    steps = conditions.pop("step", None)
    rows = read_table(files, _sweep(files, sweep), "trials").to_pylist()
    found = _like(rows, conditions)
    if not found:
        raise UserError(f"--networks {' '.join(parts)}: no network matches; {_there(rows, conditions)}")
    _check_values(rows, found, conditions)
    found.sort(key=lambda row: (row["group"], row["replicate"], row["level"], row["trial_id"]))
    return [
        Network(row["trial_id"], row["level"], step) for row in found for step in (steps or [row["steps"]])
    ]


def _like(rows: list[Row], conditions: Mapping[str, list[Any]]) -> list[Row]:
    return [row for row in rows if all(row[column] in values for column, values in conditions.items())]


def _check_values(rows: list[Row], found: list[Row], conditions: Mapping[str, list[Any]]) -> None:
    """Raise `UserError` for a value that no chosen network has, with those of networks like them."""
    for column, values in conditions.items():
        lacking = [value for value in values if not _like(found, {column: [value]})]
        if lacking:
            rest = {other: each for other, each in conditions.items() if other != column}
            there = _there(_like(rows, rest), {column: values})
            raise UserError(f"--networks: no such network has {column}={lacking[0]}; {there}")


def _sweep(files: Files, sweep: str | None) -> str:
    names = sweep_names(files)
    if sweep is None and len(names) == 1:
        return names[0]
    if sweep is None or sweep not in names:
        asked = f"--sweep {sweep}: there is no such sweep" if sweep else "--sweep: give the name of the sweep"
        raise UserError(f"{asked}; under {files.root}: {', '.join(names) or 'none'}")
    return sweep


def _check_column(column: str) -> None:
    kinds = {name: kind for name, kind, _ in TABLES["trials"]}
    names = [name for name, kind in kinds.items() if not pa.types.is_list(kind)] + ["step"]
    if column in names:
        return
    near = nearest(column, names)
    problem = f"unknown column {column}: {f'did you mean {near!r}? ' if near else ''}"
    if column in kinds:
        problem = f"column {column}: it holds lists, by which no network can be chosen; "
    raise UserError(f"--networks: {problem}valid columns: {', '.join(names)}")


def _value(part: str, text: str) -> Any:
    try:
        return read_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"--networks {part}: {text!r} is not a value") from error


def _there(rows: list[Row], conditions: Mapping[str, list[Any]]) -> str:
    there = {column: sorted({row[column] for row in rows}, key=str)[:10] for column in conditions}
    if not rows:
        return "the table trials is empty until raysweep run has published it"
    return "; ".join(
        f"{column} is {', '.join(map(str, values))}" for column, values in there.items() if values
    )
