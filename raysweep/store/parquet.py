"""Rows as Arrow tables, and the reading of Parquet objects, which may come from untrusted writers."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.store.files import CorruptObject

MOST_BYTES = 2**31  # the largest unpacked size that is read; raysweep writes far smaller objects
MOST_VALUES = MOST_BYTES // 8
BATCH_ROWS = 4096  # bounds memory, because a few bytes of a file can encode any number of equal values


def table_of(rows: list[dict[str, Any]], columns: pa.Schema) -> pa.Table:
    """Return rows as a table with these columns.

    Raises `ValueError` for a row, or a row nested in it, that lacks columns or has keys that are not columns.
    pyarrow would silently write nulls for the former and drop the latter.
    """
    _check(rows, columns, "row")
    return pa.Table.from_pylist(rows, columns)


def _check(rows: list[dict[str, Any]], fields: Iterable[pa.Field], what: str) -> None:
    types = {field.name: field.type for field in fields}
    for row in rows:
        if row.keys() != types.keys():
            missing, extra = sorted(types.keys() - row.keys()), sorted(row.keys() - types.keys())
            raise ValueError(
                f"{what} does not fit its columns; missing: {', '.join(missing) or 'none'}; "
                f"unexpected: {', '.join(extra) or 'none'}"
            )
    for name, kind in types.items():
        if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
            nested = [each for row in rows for each in row[name] or ()]
            _check(nested, kind.value_type, f"{what}: {name}")


def parquet_table(
    where: str,
    content: bytes,
    expected: pa.Schema,
    columns: Iterable[str] | None = None,
    later: Collection[str] = (),
) -> pa.Table:
    """Return all or some of the columns of a Parquet object, whose content is given.

    The columns `later` may be absent from objects that an earlier version wrote; they are then null. A column
    is a dictionary in memory where it is one in `expected`, whether or not the object says so. Raises
    `CorruptObject`, with the object's path `where` in its message, when the content is not Parquet, has
    columns other than `expected`, or unpacks to more than `MOST_BYTES`.
    """
    names = expected.names if columns is None else [name for name in expected.names if name in set(columns)]
    wanted = pa.schema([expected.field(name) for name in names])
    batches = list(parquet_batches(where, content, expected, names, later))
    there = batches[0].schema if batches else wanted
    return _completed(pa.Table.from_batches(batches, there).unify_dictionaries(), wanted)


def parquet_batches(
    where: str,
    content: bytes,
    expected: pa.Schema,
    columns: Collection[str],
    later: Collection[str] = (),
    only: tuple[str, str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield these columns of a Parquet object, some rows at a time; those of `later` may be missing.

    Where `only` names a column and a text, groups of rows of which none has it there are passed over.
    Raises as `parquet_table` does.
    """
    size = 0
    try:
        shared = [field.name for field in expected if pa.types.is_dictionary(field.type)]
        file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=shared)
        found = file.schema_arrow
        absent = set(later) - set(found.names)
        if not _plain(found).equals(_plain(field for field in expected if field.name not in absent)):
            raise CorruptObject(f"{where}: has other columns than this version of raysweep writes")
        if _values(file.metadata) <= MOST_VALUES:
            there = pa.schema([field for field in expected if field.name in {*columns} - absent])
            groups = _groups(file.metadata, *only) if only else range(file.num_row_groups)
            for read in file.iter_batches(BATCH_ROWS, row_groups=groups, columns=there.names):
                batch = _typed(read, there)
                size += batch.nbytes
                if size > MOST_BYTES:
                    break
                yield batch
            else:
                return
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorruptObject(f"{where}: is not Parquet ({error})") from error
    raise CorruptObject(f"{where}: unpacks to more than {MOST_BYTES:,} bytes")


def _groups(metadata: pq.FileMetaData, column: str, text: str) -> list[int]:
    """Return the groups of rows that may have a text in a column."""
    number = metadata.schema.to_arrow_schema().get_field_index(column)
    found = []
    for group in range(metadata.num_row_groups):
        known = metadata.row_group(group).column(number).statistics
        if known is None or not known.has_min_max or known.min <= text <= known.max:
            found.append(group)
    return found


def _plain(fields: Iterable[pa.Field]) -> pa.Schema:
    """Return a schema that has the values' type in place of a dictionary of them."""
    return pa.schema(
        [
            pa.field(each.name, each.type.value_type) if pa.types.is_dictionary(each.type) else each
            for each in fields
        ]
    )


def _typed(batch: pa.RecordBatch, expected: pa.Schema) -> pa.RecordBatch:
    """Return a batch with dictionaries where they are expected, and only there."""
    columns = [
        column if column.type == field.type else _other(column)
        for column, field in zip(batch.columns, expected, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=expected)


def _other(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def _completed(table: pa.Table, expected: pa.Schema) -> pa.Table:
    """Return the table with all of the expected columns; those that it lacks are null."""
    there = set(table.column_names)
    columns = [
        table.column(field.name) if field.name in there else pa.nulls(len(table), field.type)
        for field in expected
    ]
    return pa.table(columns, schema=expected)


def _values(metadata: pq.FileMetaData) -> int:
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    return sum(group.column(index).num_values for group in groups for index in range(group.num_columns))
