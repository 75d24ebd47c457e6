"""Reading Parquet objects, which somebody else may have written."""

import io
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.store.files import CorruptObject

MOST_BYTES = 2**31  # that an object may unpack to; ours are far smaller, and are read whole
MOST_VALUES = MOST_BYTES // 8
AT_ONCE = 4096  # rows: a few bytes of a file may stand for any number of equal values


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
            raise CorruptObject(f"{where}: has other columns than documented")
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
