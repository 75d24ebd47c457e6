"""Whether a root has enough space for what a sweep will write."""

import shutil

from raysweep.errors import UserError
from raysweep.store.files import Files

SPARE = 1.2  # factor on the estimate, for records, tables and temporary files


def check_space(files: Files, size: int) -> None:
    """Raise `UserError` when a local root lacks space for `size` bytes; object storage has no limit."""
    if files.directory is None:
        return
    free, required = shutil.disk_usage(files.directory).free, int(size * SPARE)
    if free < required:
        raise UserError(
            f"root {files.root}: the sweep will write about {required / 1e9:,.1f} GB, but only "
            f"{free / 1e9:,.1f} GB are free"
        )
