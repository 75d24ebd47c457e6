"""Whole objects under a root, written atomically and verified by their checksums."""

import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from raysweep.errors import CorruptObject as CorruptObject
from raysweep.errors import UserError
from raysweep.store.backends import AT_ONCE, READS, Directory, Stamp, backend_of

Item = TypeVar("Item")
Result = TypeVar("Result")

MAGIC = b"raysweep"  # a checked object consists of this, the SHA-256 of the payload, and the payload
HEADER = len(MAGIC) + 32
FOLDERS = ("sweeps", "logs", "trials", "results")  # the small ones first
NOTE = b"1"  # of an object whose name says all; listings of a bucket leave empty ones out
MOST_BYTES = 2**34  # the largest object that is read; raysweep writes smaller ones


class Files:
    """Objects by relative name under a root: a directory, `s3://bucket/prefix` or `gs://bucket/prefix`.

    A name that would leave the root raises `ValueError`.
    """

    def __init__(self, root: str) -> None:
        self._backend = backend_of(root)
        self.directory: Path | None = self._backend.path if isinstance(self._backend, Directory) else None
        self.root = str(self.directory) if self.directory else root.rstrip("/")

    @classmethod
    def existing(cls, root: str) -> "Files":
        """Return a root that was used before. Raises `UserError` for one under which nothing lies."""
        files = cls(root)
        if files.directory and not files.directory.is_dir():
            raise UserError(f"root {root!r}: there is no such directory")
        if not any(files.list(folder) for folder in FOLDERS):
            raise UserError(f"root {root!r}: raysweep has stored nothing there")
        return files

    def where(self, name: str) -> str:
        """Return the full path of an object, for messages."""
        return f"{self.root}/{name}"

    def check_writable(self) -> bool:
        """Write, read and remove an object. Raises `UserError` when that fails.

        Returns whether the storage has conditional writes (`swap`), or needs none because it has locks.
        """
        name, content = f"tmp/{uuid.uuid4().hex}", b"raysweep was here"
        try:
            self.put(name, content)
            if self.get(name) != content:
                raise UserError(f"root {self.root} does not give back what is written to it")
            compares = self.directory is not None or not self._backend.swap(name, content, None)
            self.delete(name)
        except OSError as error:
            raise UserError(f"root {self.root} cannot be written: {error.strerror or error}") from error
        return compares

    def put(self, name: str, content: bytes) -> str:
        """Write an object, atomically replacing any object of this name, and return its ETag."""
        return self._backend.put(name, content)

    def version(self, name: str) -> str | None:
        """Return what `swap` compares; None for an object that does not exist, and under a local root."""
        return self._backend.version(name)

    def swap(self, name: str, content: bytes, version: str | None) -> bool:
        """Write an object if it still has this version, and return whether it is written.

        None stands for an object that does not exist. Nothing is compared under a local root, where locks
        keep other writers away, and in storage that has no conditional writes. Where the answer to a write
        was lost and it is repeated, the content tells that the first attempt succeeded.
        """
        return self._backend.swap(name, content, version) or self.holds(name, content)

    def get(self, name: str) -> bytes:
        """Return an object. Raises `FileNotFoundError`, and `CorruptObject` when it is too large to read."""
        content = self._backend.get(name, MOST_BYTES)
        if content is None:
            raise CorruptObject(f"{self.where(name)}: more than {MOST_BYTES:,} bytes")
        return content

    def find(self, name: str) -> bytes | None:
        """Return an object, or None when there is none. Raises `CorruptObject` when it is too large."""
        try:
            return self.get(name)
        except FileNotFoundError:
            return None

    def holds(self, name: str, content: bytes) -> bool:
        """Whether an object exists and has this content."""
        try:
            return self.find(name) == content
        except CorruptObject:
            return False

    def put_checked(self, name: str, payload: bytes | memoryview) -> None:
        """Write an object together with the checksum of its payload."""
        self.put(name, MAGIC + hashlib.sha256(payload).digest() + payload)

    def get_checked(self, name: str) -> bytes:
        """Return the payload of an object that `put_checked` wrote.

        Raises `FileNotFoundError`, and `CorruptObject` when the payload does not match its checksum. In
        object storage a reader may see only a part of an object that is being replaced. A mismatch is
        therefore read again before the object counts as damaged.
        """
        for _ in range(READS):
            content = self.get(name)
            payload = content[HEADER:]
            if content.startswith(MAGIC) and content[len(MAGIC) : HEADER] == hashlib.sha256(payload).digest():
                return payload
        raise CorruptObject(f"{self.where(name)}: the checksum does not match the content")

    def find_checked(self, name: str) -> bytes | None:
        """Return the payload of an object, or None when there is none. Raises `CorruptObject`."""
        try:
            return self.get_checked(name)
        except FileNotFoundError:
            return None

    def at_once(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return `work` of every item; where every request to the storage takes long, of many at once."""
        if self.directory is not None or len(items) < 2:
            return [work(item) for item in items]
        with ThreadPoolExecutor(min(AT_ONCE, len(items)), "storage") as pool:
            return list(pool.map(work, items))

    def delete(self, name: str) -> None:
        """Remove an object, if there is one."""
        self._backend.delete(name)

    def remove_empty_folders(self, folder: str) -> None:
        """Remove empty folders below a folder of a local root, to which nobody may be writing."""
        if self.directory:
            for path in sorted((self.directory / folder).rglob("*"), reverse=True):
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()

    def exists(self, name: str) -> bool:
        return self._backend.exists(name)

    def older(self, folder: str, seconds: float) -> list[str]:
        """Return the names of the objects below a folder that were written at least `seconds` ago."""
        limit = time.time() - seconds
        return [name for name, stamp in self._backend.stamps(folder).items() if stamp.modified / 1e9 <= limit]

    def list(self, folder: str) -> list[str]:
        """Return the names of all objects below a folder, sorted."""
        return sorted(self._backend.stamps(folder))

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes in bytes of all objects below a folder, by name."""
        return {name: stamp.size for name, stamp in self._backend.stamps(folder).items()}

    def stamps_of(self, names: Sequence[str]) -> dict[str, Stamp]:
        """Return the sizes and the times of writing of those of these objects that exist, by name."""
        return self._backend.stamps_of(names)

    def stamps(self, folder: str) -> dict[str, Stamp]:
        """Return the sizes and the times of writing of all objects below a folder, by name."""
        return self._backend.stamps(folder)
