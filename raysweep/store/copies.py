"""A folder of objects as local files, for libraries that need a path."""

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from raysweep.store.backends import Stamp
from raysweep.store.files import Files

ROUNDS = 4  # copies are repeated this often while objects change


@contextlib.contextmanager
def as_directory(files: Files, folder: str) -> Iterator[Path]:
    """Yield the path of a folder of the root.

    Under a local root this is the folder itself. In object storage it is a temporary copy, from which new and
    changed files are uploaded at the end, and what was removed from the copy is removed there too.
    """
    if files.directory:
        yield files.directory / folder
        return
    with tempfile.TemporaryDirectory(prefix="raysweep-") as temporary:
        base = Path(temporary)
        (base / folder).mkdir(parents=True)
        before = _copy(files, folder, base)
        yield base / folder
        for path in sorted(path for path in (base / folder).rglob("*") if path.is_file()):
            name, content = str(path.relative_to(base)), path.read_bytes()
            if before.get(name) != _sha256(content):
                files.put(name, content)
        for name in before:
            if not (base / name).exists():
                files.delete(name)


def _copy(files: Files, folder: str, base: Path) -> dict[str, str]:
    """Copy the objects, and repeat this for those that another run has replaced in the meantime.

    Returns the SHA-256 of what was copied, by name; a sweep's tables may be larger than the memory.
    """
    copied: dict[str, Stamp] = {}
    digests: dict[str, str] = {}

    def copy(name: str) -> None:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        content = files.find(name)
        if content is not None:
            (base / name).write_bytes(content)
            digests[name] = _sha256(content)

    for _ in range(ROUNDS):
        stamps = files.stamps(folder)
        for name in copied.keys() - stamps.keys():
            (base / name).unlink(missing_ok=True)
            digests.pop(name, None)
        changed = [name for name, stamp in stamps.items() if copied.get(name) != stamp]
        if not changed:
            break
        files.at_once(copy, changed)
        copied = stamps
    return digests


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
