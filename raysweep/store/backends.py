"""Backends, which hold objects: a local directory, or a bucket through pyarrow's filesystems."""

import contextlib
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlparse

import pyarrow as pa
from pyarrow import fs

from raysweep.choices import choose
from raysweep.errors import UserError

SCHEMES = ("s3", "gs")
EXPECTED = f"expected a directory, or {' or '.join(f'{s}://bucket/prefix' for s in SCHEMES)}"
S3_SECONDS = 60  # how long a request may remain unanswered
GS_SECONDS = 300  # how long a failing request is repeated
S3_ATTEMPTS = 8  # attempts of a request that fails with status 503, a timeout or a lost connection
AT_ONCE = 100  # requests to object storage at a time, where one takes tens of milliseconds
READS = 4  # attempts to read an object that changes while it is read
REMOVED = ("NO_SUCH_KEY", "RESOURCE_NOT_FOUND")  # in Arrow's error when an object is removed during a read
NO_ROOM = "Failed to flush response stream"  # Arrow's error when an answer is longer than the object was
NO_LINKS = "raysweep follows no links to folders below a root; link to the root itself instead"
MULTIPART = 10 * 2**20  # bytes from which on Arrow writes an object in several requests


class Stamp(NamedTuple):
    """An object's size in bytes, and the time of its last write in nanoseconds since 1970."""

    size: int
    modified: int


class Backend(Protocol):
    """Whole objects by name. A write replaces an object atomically or not at all."""

    def put(self, name: str, content: bytes) -> None: ...

    def get(self, name: str, limit: int) -> bytes | None:
        """Return an object, or None when it is larger than `limit` bytes. Raises `FileNotFoundError`."""
        ...

    def delete(self, name: str) -> None: ...

    def exists(self, name: str) -> bool: ...

    def stamps(self, folder: str) -> dict[str, Stamp]: ...

    def stamps_of(self, names: Sequence[str]) -> dict[str, Stamp]: ...


class Directory:
    """A directory of this machine, or one that all machines share."""

    def __init__(self, root: str) -> None:
        """Raises `UserError` for a path that is none, such as an empty one, or the path of a file."""
        if not root.strip():
            raise UserError(f"root {root!r}: is empty; {EXPECTED}")
        try:
            self.path = Path(root).expanduser().resolve()
        except (RuntimeError, OSError, ValueError) as error:  # a user or a path that does not exist
            raise UserError(f"root {root!r}: {error}") from error
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"root {root!r}: is a file; {EXPECTED}")

    def put(self, name: str, content: bytes) -> None:
        """Write a temporary file in `tmp/`, then rename it to its final name."""
        target = self._at(name)
        temporary = self.path / "tmp" / uuid.uuid4().hex
        temporary.parent.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def get(self, name: str, limit: int) -> bytes | None:
        with self._at(name).open("rb") as file:
            return None if os.fstat(file.fileno()).st_size > limit else file.read()

    def delete(self, name: str) -> None:
        self._at(name).unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        path = self._at(name)
        return path.exists() and not path.is_dir()

    def stamps(self, folder: str) -> dict[str, Stamp]:
        return dict(_below(str(self._at(folder)), folder))

    def stamps_of(self, names: Sequence[str]) -> dict[str, Stamp]:
        found = {}
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                status = self._at(name).stat()
                found[name] = Stamp(status.st_size, status.st_mtime_ns)
        return found

    def _at(self, name: str) -> Path:
        """Return the path of an object. Raises `ValueError` for a name that leaves the root.

        Raises `UserError` where a symbolic link leads out of the root, or in a circle.
        """
        written = Path(os.path.normpath(self.path / name))
        if not written.is_relative_to(self.path):
            raise ValueError(f"{name!r} leaves the root")
        try:
            path = written.resolve()
        except (RuntimeError, OSError) as error:
            raise UserError(f"{written}: its symbolic links lead in a circle") from error
        if not path.is_relative_to(self.path):
            raise UserError(f"{written}: leads out of the root, to {path}; {NO_LINKS}")
        return path


class Bucket:
    """A prefix in object storage; credentials and endpoints come from the usual environment variables."""

    def __init__(self, root: str) -> None:
        scheme, _, prefix = root.partition("://")
        self._system = choose("scheme", scheme, {"s3": _s3, "gs": _gs})()
        self._base = prefix.rstrip("/")

    def put(self, name: str, content: bytes) -> None:
        """Write in one request, or write a temporary object and copy it to its final name.

        Arrow writes large objects in parts. A stream that is closed after an error, even by its destructor,
        publishes the parts that it has written, so it must never write under a final name.
        """
        if len(content) < MULTIPART:
            self._write(name, content)
            return
        temporary = f"tmp/{uuid.uuid4().hex}"
        try:
            self._write(temporary, content)
            self._system.copy_file(self._at(temporary), self._at(name))
        finally:
            with contextlib.suppress(OSError):  # an error above is the more informative one
                self.delete(temporary)

    def get(self, name: str, limit: int) -> bytes | None:
        """Return an object, or None when it is larger than `limit` bytes. Raises `FileNotFoundError`.

        Arrow first requests the size, then that many bytes. When another process replaces the object between
        the two requests, the result may be truncated, which the object's checksum reveals. An object that is
        removed in between raises `FileNotFoundError`, like one that never existed.
        """
        for _ in range(READS - 1):
            try:
                return self._read(name, limit)
            except FileNotFoundError:
                raise
            except OSError as error:
                gone = any(sign in str(error) for sign in REMOVED)
                if gone or (NO_ROOM in str(error) and not self.exists(name)):
                    raise FileNotFoundError(self._at(name)) from error
                if NO_ROOM not in str(error):
                    raise
        return self._read(name, limit)

    def _read(self, name: str, limit: int) -> bytes | None:
        with self._system.open_input_file(self._at(name)) as file:
            return None if file.size() > limit else file.read()

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._system.delete_file(self._at(name))

    def exists(self, name: str) -> bool:
        return bool(self._system.get_file_info(self._at(name)).type == fs.FileType.File)

    def stamps_of(self, names: Sequence[str]) -> dict[str, Stamp]:
        """Ask for all at once; Arrow sends as many requests at a time as it has threads."""
        infos = self._system.get_file_info([self._at(name) for name in names])
        return {
            name: Stamp(info.size, info.mtime_ns or 0)
            for name, info in zip(names, infos, strict=True)
            if info.type == fs.FileType.File
        }

    def stamps(self, folder: str) -> dict[str, Stamp]:
        selector = fs.FileSelector(self._at(folder), allow_not_found=True, recursive=True)
        return {
            info.path.removeprefix(f"{self._base}/"): Stamp(info.size, info.mtime_ns or 0)
            for info in self._system.get_file_info(selector)
            if info.type == fs.FileType.File
        }

    def _write(self, name: str, content: bytes) -> None:
        with self._system.open_output_stream(self._at(name)) as stream:
            stream.write(content)

    def _at(self, name: str) -> str:
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"{name!r} leaves the root")
        return f"{self._base}/{name}"


def _below(folder: str, name: str) -> Iterator[tuple[str, Stamp]]:
    """Yield the files below a folder; files that other processes remove meanwhile are left out."""
    prefix = f"{name}/" if name else ""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_symlink() and not os.path.isfile(entry.path):
                    raise UserError(
                        f"{entry.path}: is a symbolic link to a folder, or to nothing; {NO_LINKS}"
                    )
                if entry.is_dir():
                    yield from _below(entry.path, prefix + entry.name)
                elif entry.is_file():
                    found = entry.stat()
                    yield prefix + entry.name, Stamp(found.st_size, found.st_mtime_ns)


def _s3() -> fs.S3FileSystem:
    pa.set_io_thread_count(max(AT_ONCE, pa.io_thread_count()))  # Arrow opens as many connections
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    where = urlparse(endpoint) if endpoint else None
    return fs.S3FileSystem(
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        scheme=where.scheme if where else None,
        endpoint_override=where.netloc if where else None,
        allow_delayed_open=True,  # writes a small object in one request
        background_writes=False,  # raises an error in the write that caused it
        request_timeout=S3_SECONDS,
        connect_timeout=10,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=S3_ATTEMPTS),
    )


def _gs() -> fs.GcsFileSystem:
    """Connect to Google's endpoint, or to the emulator that STORAGE_EMULATOR_HOST names."""
    emulated = "STORAGE_EMULATOR_HOST" in os.environ
    return fs.GcsFileSystem(anonymous=emulated, retry_time_limit=timedelta(seconds=GS_SECONDS))


def backend_of(root: str) -> Backend:
    """Return the backend of a root; `~` stands for the user's home.

    Raises `UserError` for an unknown or mistyped scheme, a missing bucket, an empty root and that of a file.
    """
    scheme, separator, rest = root.partition("://")
    if not separator:
        if found := re.match(rf"({'|'.join(SCHEMES)}):/*", root):  # which would be a folder of this name
            raise UserError(f"root {root!r}: did you mean {found[1]}://{root[found.end() :]}? {EXPECTED}")
        return Directory(root)
    if scheme not in SCHEMES or not rest.strip("/") or rest.startswith("/"):
        raise UserError(f"root {root!r}: {EXPECTED}")
    return Bucket(root)
