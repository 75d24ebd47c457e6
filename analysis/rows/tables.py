"""Reading the tables of a sweep in progress, in which tables and rows may be missing."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from analysis.rows.settings import BARRIERS, CHOSEN_BY, SPLIT_BY
from raysweep.errors import UserError
from raysweep.tables.frames import read_frame
from raysweep.tables.schemas import TABLES, schema
from raysweep.tables.variants import trial_of

READ = ("trials", "alignments", "agreements", "barriers", "failures")
# The columns of `barriers` that answers and reports are made of.
OF_BARRIERS = {
    *CHOSEN_BY,
    *SPLIT_BY,
    *BARRIERS,
    "loss_centre",
    "error_centre",
    "alignments",
    "joint_networks",
    "stack",
    "permutation_level",
    "alphas",
    "train_examples",
}
# The columns of `agreements` that answers, reports and analyses are made of: the rest are mostly long lists.
OF_AGREEMENTS = ("kind", "method", "group", "networks", "step", "fixed_points")
_CHOSEN: dict[str, Collection[str]] = {"barriers": OF_BARRIERS, "agreements": OF_AGREEMENTS}
# A table that lacks one of these columns is left out: nobody knows what its rows belong to.
_SETTING = {"group", "dataset", "model", "norm", "width"}
REQUIRED = {
    "trials": {"trial_id", "level", "steps", "epochs", *_SETTING},
    "alignments": {"alignment_id", "networks"},
    "agreements": set(),
    "barriers": {"kind", "networks", "alignments", "level", "step", "permutation_step", "split", *_SETTING},
    "failures": set(),
}


@dataclass(frozen=True)
class Tables:
    """Data frames without those columns of the largest tables that nothing reads; `notes` say what lacks.

    `damaged` has the notes on tables that cannot be read, which are taken as empty.
    """

    name: str
    trials: pd.DataFrame
    alignments: pd.DataFrame
    agreements: pd.DataFrame
    barriers: pd.DataFrame
    failures: pd.DataFrame
    notes: tuple[str, ...]
    damaged: tuple[str, ...] = ()


def read(folder: Path) -> Tables:
    """Read the tables in the folder of a sweep, whose name is that of the folder."""
    frames, notes, damaged = {}, list[str](), list[str]()
    for table in READ:
        try:
            frames[table], new = _read(folder / table)
            notes += new
        except UserError as error:
            frames[table] = _nothing(table)
            damaged.append(str(error).replace(f"{folder}/", ""))  # the page names no root
    frames["barriers"], new = _complete(frames["trials"], frames["alignments"], frames["barriers"])
    return Tables(folder.name, **frames, notes=(*notes, *new), damaged=tuple(damaged))


def _read(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return a table with its documented columns, or the chosen ones of a large one, and what lacks.

    Raises `UserError` for a table that cannot be read.
    """
    table = path.name
    columns = _columns(table)
    try:
        frame = read_frame(path.parent, table, columns)
    except FileNotFoundError:
        return _nothing(table), [f"no table {table}"]
    lacking = [name for name in columns if name not in frame]
    required = [name for name in lacking if name in REQUIRED[table]]
    if required:
        return _nothing(table), [f"table {table} left out: it lacks {', '.join(required)}"]
    notes = [f"table {table} lacks {', '.join(lacking)}, taken as null"] if lacking else []
    nulls = {name: pa.nulls(len(frame), schema(table).field(name).type).to_pandas() for name in lacking}
    return frame.assign(**nulls), notes


def _columns(table: str) -> list[str]:
    return [name for name, _, _ in TABLES[table] if name in _CHOSEN.get(table, (name,))]


def _nothing(table: str) -> pd.DataFrame:
    frame: pd.DataFrame = schema(table).empty_table().select(_columns(table)).to_pandas()
    return frame


def _complete(
    trials: pd.DataFrame, alignments: pd.DataFrame, barriers: pd.DataFrame
) -> tuple[pd.DataFrame, list[str]]:
    """Keep the barriers whose trials and alignments have rows, and note how many have not.

    A sweep in progress publishes its tables one after the other.
    """
    there, aligned = set(zip(trials.trial_id, trials.level, strict=True)), set(alignments.alignment_id)
    parts = zip(barriers.networks, barriers.level, barriers.alignments, strict=True)
    kept = [
        all((trial_of(network), level) in there for network in networks) and aligned.issuperset(ids)
        for networks, level, ids in parts
    ]
    out = len(kept) - sum(kept)
    notes = (
        [f"{out} of {len(kept)} barriers left out: their trials or alignments have no rows"] if out else []
    )
    return barriers[pd.Series(kept, barriers.index, dtype=bool)], notes
