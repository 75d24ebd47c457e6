"""Objects that a node has read from object storage, kept on its disk for all its processes."""

import contextlib
import hashlib
import math
import os
import tempfile
import uuid
from pathlib import Path

VARIABLE = "RAYSWEEP_CACHE"
# Listing a folder of 100,000 objects takes a second. So a process lists it only when it has added this share
# of the limit, and then leaves room for what 16 processes add until they list it again.
ADDED, ROOM = 1 / 128, 1 / 8


def cache_folder() -> Path:
    """Return the folder that RAYSWEEP_CACHE names, or else the user's own one in the temporary folder."""
    return Path(os.environ.get(VARIABLE) or Path(tempfile.gettempdir()) / f"raysweep-cache-{os.getuid()}")


class NodeCache:
    """Objects by their SHA-256, at most `limit` bytes in total; the least recently used are removed first.

    Several processes may use one folder: objects are renamed into it, and verified when they are read. A disk
    that is full or read-only keeps nothing and raises no error.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit, self._added = folder, limit, math.inf

    def get(self, checksum: str) -> bytes | None:
        """Return the object with this SHA-256, or None when it is missing or damaged."""
        path = self._folder / checksum
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != checksum:
                path.unlink(missing_ok=True)
                return None
            os.utime(path)
        except OSError:
            return None
        return content

    def put(self, checksum: str, content: bytes) -> None:
        """Keep an object, unless it alone is larger than the limit."""
        if len(content) > self._limit:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = self._folder / f"{uuid.uuid4().hex}.tmp"
            try:
                temporary.write_bytes(content)
                temporary.replace(self._folder / checksum)
            finally:
                temporary.unlink(missing_ok=True)
            self._added += len(content)
            if self._added >= ADDED * self._limit:
                self._make_room()

    def _make_room(self) -> None:
        self._added = 0
        found = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process may have removed it
                if path.is_dir():
                    continue
                found.append((path.stat().st_mtime, path.stat().st_size, path))
        held = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if held <= (1 - ROOM) * self._limit:
                return
            path.unlink(missing_ok=True)
            held -= size
