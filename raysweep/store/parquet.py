"""Reading Parquet objects, which somebody else may have written."""

import io
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.store.files import CorruptObject

MOST_BYTES = 2**31  # that an object may unpack to; ours are far smaller, and are read whole


def parquet_table(
    where: str, content: bytes, expected: pa.Schema, columns: Iterable[str] | None = None
) -> pa.Table:
    """Return the rows of an object with these columns, all or some of them.

    Raises `CorruptObject`, naming `where` it lies, when it is not Parquet, has other columns, or says that
    it unpacks to more than `MOST_BYTES`.
    """
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        if not file.schema_arrow.equals(expected):
            raise CorruptObject(f"{where}: has other columns than documented")
        groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        if max(file.metadata.num_rows, sum(group.total_byte_size for group in groups)) > MOST_BYTES:
            raise CorruptObject(f"{where}: unpacks to more than {MOST_BYTES:,} bytes")
        return file.read(columns=list(columns) if columns else None)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorruptObject(f"{where}: is not Parquet ({error})") from error
