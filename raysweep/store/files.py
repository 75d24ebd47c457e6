"""Whole objects under a root, written atomically and read with their checksum."""

import hashlib
import os
import uuid
from pathlib import Path

from raysweep.errors import UserError

MAGIC = b"raysweep"  # a checksummed object: magic, SHA-256 of the payload, payload
HEADER = len(MAGIC) + 32


class CorruptObject(Exception):
    """A stored object whose checksum does not match its content."""


class Files:
    """Objects by relative name under a local directory."""

    def __init__(self, root: str) -> None:
        if "://" in root:
            raise UserError(f"root {root!r}: only local directories are supported so far")
        self.root = Path(root).resolve()

    def path(self, name: str) -> Path:
        """Return where an object lies; a name that would leave the root raises `ValueError`."""
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root):
            raise ValueError(f"{name!r} leaves the root")
        return path

    def check_writable(self) -> None:
        """Raise `UserError` when the root cannot be written."""
        try:
            self.put(f"tmp/{uuid.uuid4().hex}", b"")
            for leftover in (self.root / "tmp").iterdir():
                leftover.unlink()
        except OSError as error:
            raise UserError(f"root {self.root} cannot be written: {error.strerror}") from error

    def put(self, name: str, content: bytes) -> None:
        """Write an object under its final name by one rename; the temporary file lies in `tmp/`."""
        target = self.path(name)
        temporary = self.root / "tmp" / uuid.uuid4().hex
        temporary.parent.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)

    def get(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    def put_checked(self, name: str, payload: bytes) -> None:
        self.put(name, MAGIC + hashlib.sha256(payload).digest() + payload)

    def get_checked(self, name: str) -> bytes:
        """Return the payload of an object that `put_checked` wrote; raises `CorruptObject`."""
        content = self.get(name)
        payload = content[HEADER:]
        if not content.startswith(MAGIC) or content[len(MAGIC) : HEADER] != hashlib.sha256(payload).digest():
            raise CorruptObject(f"{self.path(name)}: the checksum does not match the content")
        return payload

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens when there is none."""
        self.path(name).unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        return self.path(name).exists()

    def list(self, folder: str) -> list[str]:
        """Return the names of all objects below a folder, sorted."""
        base = self.path(folder)
        return sorted(str(path.relative_to(self.root)) for path in base.rglob("*") if path.is_file())
