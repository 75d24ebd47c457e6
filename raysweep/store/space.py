"""Is there room for what a sweep will write?"""

import shutil

from raysweep.errors import UserError
from raysweep.store.files import Files

SPARE = 1.2  # of the estimate, for records, tables and temporary files


def check_space(files: Files, size: int) -> None:
    """Raise `UserError` when a local root lacks room for `size` bytes; object storage has no limit."""
    if files.directory is None:
        return
    free, needed = shutil.disk_usage(files.directory).free, int(size * SPARE)
    if free < needed:
        raise UserError(
            f"root {files.root}: the sweep will write about {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB "
            "are free"
        )
