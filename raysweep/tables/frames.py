"""Published tables as data frames, read without what nobody asks for."""

import contextlib
from collections.abc import Collection, Iterable, Iterator
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.dataset import dataset

from raysweep.errors import UserError
from raysweep.tables.schemas import TABLES

# Columns of which no mean and no figure is made; a list of numbers takes 150 bytes of memory. In the tables
# of one sweep the settings of an alignment follow from its method.
_OF_MACHINES = {"hardware", "software", "provenance", "seconds"}
PASSED_OVER = {
    "barriers": {"loss_weights", "error_weights", "execution", "alignment_settings", *_OF_MACHINES},
    "measures": {"ends", "values", *_OF_MACHINES},
}
ROUNDS = 4  # of reading a table that is published meanwhile
TEXT = pd.Series([""]).dtype  # which depends on the version of pandas
TOGETHER = 8  # columns that are read at a time, because all are in memory twice
# A run keeps a file whose size and time are those of the published one, unless verify has noted the damage.
REPAIRED = (
    "tables are made from the results: raysweep verify notes what is wrong with them, and raysweep run with "
    "the sweep's file publishes them again"
)


def read_frame(
    folder: Path,
    table: str,
    columns: Iterable[str] = (),
    coded: Collection[str] = (),
    **only: str | int | None,
) -> pd.DataFrame:
    """Return a table of the sweep in a folder: these columns, or by default all but those in `PASSED_OVER`.

    Of the rows only those are read that have these values in their columns, as in `split="test"`; None stands
    for null. Lists of texts are tuples, of which equal ones are one. Rows that a run publishes
    meanwhile are read as well, or not at all. Texts of the columns in `coded` are categories, which
    take less memory where they repeat; `decoded` returns rows as they are without.

    Raises `FileNotFoundError` where there is none, and `UserError` for a file that cannot be read, or that
    has other columns than the rest.
    """
    path, chosen, rows = folder / table, set(columns), _where(only)
    for _ in range(ROUNDS):
        before = _stamps(path)
        try:
            with naming_damage(path):
                frame = _read(path, chosen, rows, coded)
        except Exception:
            if _stamps(path) == before:
                raise
        else:
            if _stamps(path) == before:
                return frame
    raise OSError(f"{path}: is published again and again while it is read")


@contextlib.contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Raise `UserError` with the name of the damaged file where a table cannot be read inside."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException, ValueError) as error:
        damaged = next(filter(_is_damaged, _files(path)), None)
        problem = f"{damaged}: is damaged" if damaged else f"{path}: cannot be read ({error})"
        raise UserError(f"{problem}; {REPAIRED}") from error


def _is_damaged(file: Path) -> bool:
    try:
        pq.read_table(file)
    except (OSError, pa.ArrowException, ValueError):
        return True
    return False


def unlike_published(folder: Path) -> str | None:
    """Return what is first missing in a sweep's tables, or is lacking in a file; None where all is there.

    Raises `UserError` for a file that cannot be read.
    """
    for table, columns in TABLES.items():
        path = folder / table
        files = _files(path)
        if not files:
            return f"{path}: is missing; {REPAIRED}"
        for file in files:
            with naming_damage(file):
                there = pq.read_schema(file).names
            lacking = [name for name, _, _ in columns if name not in there]
            if lacking:
                return f"{file}: lacks the columns {', '.join(lacking)}; {REPAIRED}"
    return None


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.glob("*.parquet"))


def _stamps(path: Path) -> dict[str, tuple[int, int]]:
    """Return the size and the time of every file of a table."""
    found = {}
    for file in path.glob("*.parquet"):
        with contextlib.suppress(FileNotFoundError):  # it has just been removed
            stat = file.stat()
            found[file.name] = stat.st_size, stat.st_mtime_ns
    return found


def _read(path: Path, chosen: set[str], rows: pc.Expression | None, coded: Collection[str]) -> pd.DataFrame:
    """Read a table some columns at a time, which requires that nothing changes meanwhile."""
    there, but = _schema(path), PASSED_OVER.get(path.name, set())
    names = [name for name in there.names if (name in chosen if chosen else name not in but)]
    lists = [name for name in names if _is_texts(there.field(name).type)]
    plain = [name for name in names if name not in lists]
    parts = [plain[start : start + TOGETHER] for start in range(0, len(plain), TOGETHER)]
    frame = pd.concat([_plain(path, some, rows, coded) for some in parts or [[]]], axis=1)
    for name in lists:
        # Threads read ahead, and keep the memory that this takes.
        batches = dataset(path).to_batches(columns=[name], filter=rows, use_threads=False)
        frame.insert(names.index(name), name, _shared((batch.column(0) for batch in batches), len(frame)))
    return frame


def _schema(path: Path) -> pa.Schema:
    """Return the columns of a table; pyarrow would take those that only some files have as null elsewhere."""
    files = _files(path)
    if not files:
        raise FileNotFoundError(path)
    first = pq.read_schema(files[0])
    for file in files[1:]:
        if set(pq.read_schema(file).names) != set(first.names):
            raise UserError(f"{path}: {files[0].name} and {file.name} differ in their columns; {REPAIRED}")
    return first


def decoded(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows in which texts are texts, not categories."""
    return rows.astype(dict.fromkeys(rows.select_dtypes("category"), TEXT))


def groups(rows: pd.DataFrame, by: Any) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Yield what `rows.groupby(by)` does, without a sorted copy of all rows."""
    places: Any = rows.groupby(by, observed=True).indices
    for key in sorted(places):
        yield key, rows.iloc[places[key]]


def _plain(
    path: Path, columns: list[str], rows: pc.Expression | None, coded: Collection[str]
) -> pd.DataFrame:
    texts = [name for name in columns if name in coded]
    # Buffers for what is read ahead would take as much memory as the rows.
    found = pq.read_table(path, columns=columns, filters=rows, read_dictionary=texts, pre_buffer=False)
    frame: pd.DataFrame = found.replace_schema_metadata().to_pandas()
    return frame


def _is_texts(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) and pa.types.is_string(kind.value_type))


def _where(only: dict[str, str | int | None]) -> pc.Expression | None:
    """What rows must fulfil that have these values."""
    tests = [
        pc.field(name).is_null()
        if value is None
        else pc.field(name) == (str(value) if isinstance(value, str) else value)
        for name, value in only.items()
    ]
    return reduce(and_, tests) if tests else None


def _shared(parts: Iterable[pa.Array], count: int) -> np.ndarray:
    """Return lists of texts as an array of so many tuples, of which equal ones, and equal texts, are one."""
    words: dict[str | None, str | None] = {}
    known: dict[tuple[str | None, ...], tuple[str | None, ...]] = {}
    rows, at = np.empty(count, object), 0
    for part in parts:
        texts = part.values.dictionary_encode()
        here = [words.setdefault(word, word) for word in texts.dictionary.to_pylist()]
        numbers, ends = texts.indices.to_pylist(), part.offsets.to_pylist()
        for row, is_there in enumerate(part.is_valid().to_pylist()):
            if is_there:
                found = tuple([here[number] for number in numbers[ends[row] : ends[row + 1]]])
                rows[at + row] = known.setdefault(found, found)
        at += len(part)
    return rows
