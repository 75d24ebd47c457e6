"""Published tables as data frames, read without what nobody asks for."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

# Columns of which no mean and no figure is made; a list of numbers takes 150 bytes of memory.
PASSED_OVER = {
    "barriers": {"loss_weights", "error_weights", "hardware", "software", "provenance", "execution"},
    "measures": {"ends", "values", "hardware", "software", "provenance"},
}


def read_frame(folder: Path, table: str, **only: str) -> pd.DataFrame:
    """Return a table of the sweep in a folder, without the columns in `PASSED_OVER`.

    Of the rows only those are read that have these values in their columns, as in `split="test"`.

    Raises `FileNotFoundError` where there is none, and `OSError` or `pyarrow.ArrowException` for files that
    cannot be read.
    """
    path, but = folder / table, PASSED_OVER.get(table, set())
    names = [name for name in pq.ParquetDataset(path).schema.names if name not in but] if but else None
    chosen = [(name, "==", str(value)) for name, value in only.items()]
    return pd.read_parquet(path, columns=names or None, filters=chosen or None)
