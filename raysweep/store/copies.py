"""A folder of objects as files, for libraries that want a path."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from raysweep.store.files import Files


@contextlib.contextmanager
def as_directory(files: Files, folder: str) -> Iterator[Path]:
    """Give a folder of the root as a directory.

    A local root has one. Of object storage it is a temporary copy; files that are new or have changed at the
    end are put back.
    """
    if files.directory:
        yield files.directory / folder
        return
    with tempfile.TemporaryDirectory(prefix="raysweep-") as temporary:
        base, before = Path(temporary), {}
        (base / folder).mkdir(parents=True)
        for name in files.list(folder):
            if (content := files.find(name)) is None:  # another run has published since
                continue
            before[name] = content
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            (base / name).write_bytes(before[name])
        yield base / folder
        for path in sorted((base / folder).rglob("*")):
            name = str(path.relative_to(base))
            if path.is_file() and before.get(name) != path.read_bytes():
                files.put(name, path.read_bytes())
