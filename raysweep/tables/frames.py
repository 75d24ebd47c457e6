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

    Raises `FileNotFoundError` where there is none, and `OSError` or `pyarrow.ArrowException` for files that
    cannot be read.
    """
    path, chosen, rows = folder / table, set(columns), _where(only)
    for _ in range(ROUNDS):
        before = _stamps(path)
        try:
            frame = _read(path, chosen, rows, coded)
        except Exception:
            if _stamps(path) == before:
                raise
        else:
            if _stamps(path) == before:
                return frame
    raise OSError(f"{path}: is published again and again while it is read")


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
    there, but = pq.ParquetDataset(path).schema, PASSED_OVER.get(path.name, set())
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
