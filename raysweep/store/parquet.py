"""Rows as Arrow tables, and reading Parquet objects, which somebody else may have written."""

import io
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.store.files import CorruptObject

MOST_BYTES = 2**31  # that an object may unpack to; ours are far smaller, and are read whole
MOST_VALUES = MOST_BYTES // 8
AT_ONCE = 4096  # rows: a few bytes of a file may stand for any number of equal values


def table_of(rows: list[dict[str, Any]], columns: pa.Schema) -> pa.Table:
    """Return rows as a table with these columns.

    Raises `ValueError` naming the columns that a row, also a nested one, lacks and the keys that are none:
    pyarrow would make the former null and drop the latter without a word.
    """
    _check(rows, columns, "row")
    return pa.Table.from_pylist(rows, columns)


def _check(rows: list[dict[str, Any]], fields: Iterable[pa.Field], what: str) -> None:
    types = {field.name: field.type for field in fields}
    for row in rows:
        if row.keys() != types.keys():
            missing, extra = sorted(types.keys() - row.keys()), sorted(row.keys() - types.keys())
            raise ValueError(
                f"{what} does not fit its columns: it lacks {', '.join(missing) or 'none'} and has "
                f"{', '.join(extra) or 'no others'} besides"
            )
    for name, kind in types.items():
        if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
            nested = [each for row in rows for each in row[name] or ()]
            _check(nested, kind.value_type, f"{what}: {name}")


def parquet_table(
    where: str, content: bytes, expected: pa.Schema, columns: Iterable[str] | None = None
) -> pa.Table:
    """Return the rows of an object with these columns, all or some of them.

    Raises `CorruptObject`, naming `where` it lies, when it is not Parquet, has other columns, or unpacks to
    more than `MOST_BYTES`.
    """
    names = expected.names if columns is None else [name for name in expected.names if name in set(columns)]
    batches, size = [], 0
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        if not file.schema_arrow.equals(expected):
            raise CorruptObject(f"{where}: has other columns than this version of raysweep writes")
        if _values(file.metadata) <= MOST_VALUES:
            for batch in file.iter_batches(AT_ONCE, columns=names):
                size += batch.nbytes
                if size > MOST_BYTES:
                    break
                batches.append(batch)
            else:
                return pa.Table.from_batches(batches, pa.schema([expected.field(name) for name in names]))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorruptObject(f"{where}: is not Parquet ({error})") from error
    raise CorruptObject(f"{where}: unpacks to more than {MOST_BYTES:,} bytes")


def _values(metadata: pq.FileMetaData) -> int:
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    return sum(group.column(index).num_values for group in groups for index in range(group.num_columns))
