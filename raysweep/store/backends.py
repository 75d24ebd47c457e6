"""Backends, which hold objects: a local directory, or a bucket through obstore."""

import contextlib
import os
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import GCSStore

from raysweep.choices import choose
from raysweep.errors import UserError
from raysweep.store.clients import gs_store, s3_store

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode

Answer = TypeVar("Answer")

SCHEMES = ("s3", "gs")
EXPECTED = f"expected a directory, or {' or '.join(f'{s}://bucket/prefix' for s in SCHEMES)}"
AT_ONCE = 100  # requests to object storage at a time, where one takes tens of milliseconds
READS = 4  # attempts to read what changes while it is read
NO_LINKS = "raysweep follows no links to folders below a root; link to the root itself instead"
PART, PARTS_AT_ONCE = 5 * 2**20, 4  # larger objects are written in parts of so many bytes
PAGE = 1000  # names in the answer to a listing
DETAILS = "\n\nDebug source:"  # begins the second part of obstore's messages
CUT = "request or response body error"  # obstore's message for half an answer
HINTS = {  # by words in obstore's messages; the addresses are asked for credentials where none are set
    "NoSuchBucket": "there is no such bucket",
    "169.254.169.254": "no credentials are set: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "metadata.google.internal": "no credentials are set: GOOGLE_APPLICATION_CREDENTIALS",
}
NO_CONDITIONS = "501 Not Implemented"  # what storage answers that knows no conditional writes


class Stamp(NamedTuple):
    """An object's size in bytes, the time of its last write in nanoseconds since 1970, and its ETag.

    Object storage knows the time of a write to the second. Only there an object has an ETag.
    """

    size: int
    modified: int
    etag: str = ""


class Backend(Protocol):
    """Whole objects by name. A write replaces an object atomically or not at all."""

    def put(self, name: str, content: bytes) -> str:
        """Write an object, and return its ETag."""
        ...

    def version(self, name: str) -> str | None:
        """Return what `swap` compares; None where there is no such object."""
        ...

    def swap(self, name: str, content: bytes, version: str | None) -> bool:
        """Write an object if it still has this version; returns whether it had."""
        ...

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

    def put(self, name: str, content: bytes) -> str:
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
        return ""

    def version(self, name: str) -> None:
        """Nothing is compared in a directory, where locks keep other writers away."""

    def swap(self, name: str, content: bytes, version: str | None) -> bool:
        self.put(name, content)
        return True

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
    """A prefix in object storage. Whatever fails raises `OSError`, after some attempts."""

    def __init__(self, root: str) -> None:
        """Raises `UserError` for a prefix that is none, and for credentials that cannot be read."""
        scheme, _, where = root.partition("://")
        bucket, _, prefix = where.rstrip("/").partition("/")
        connect = choose("scheme", scheme, {"s3": s3_store, "gs": gs_store})
        try:
            self._store = connect(bucket, prefix)
        except (BaseError, ValueError) as error:
            raise UserError(f"root {root!r}: {_line(error)}") from error

    def put(self, name: str, content: bytes) -> str:
        """Write in one request, or in parts, which appear as one object when the last has arrived."""
        parts = partial(self._store.put, chunk_size=PART, max_concurrency=PARTS_AT_ONCE)
        return _answer(name, lambda: parts(_at(name), content))["e_tag"] or ""

    def swap(self, name: str, content: bytes, version: str | None) -> bool:
        """Write on a condition; storage that refuses conditions, or ignores them, writes without."""
        expected: PutMode = "create" if version is None else {"e_tag": version, "version": version}
        try:
            _answer(name, lambda: self._store.put(_at(name), content, mode=expected))
        except OSError as error:
            if isinstance(error.__cause__, AlreadyExistsError | PreconditionError):
                return False
            if NO_CONDITIONS not in str(error):
                raise
            self.put(name, content)
        return True

    def version(self, name: str) -> str | None:
        """Return the ETag, or in Google storage the generation."""
        found = self._head(name)
        return found and (found["version"] if isinstance(self._store, GCSStore) else found["e_tag"])

    def get(self, name: str, limit: int) -> bytes | None:
        def whole() -> bytes | None:
            found = self._store.get(_at(name))
            return None if found.meta["size"] > limit else bytes(found.bytes())

        return _answer(name, whole)

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            _answer(name, lambda: self._store.delete(_at(name)))

    def exists(self, name: str) -> bool:
        return self._head(name) is not None

    def stamps_of(self, names: Sequence[str]) -> dict[str, Stamp]:
        with ThreadPoolExecutor(AT_ONCE, "storage") as pool:
            found = zip(names, pool.map(self._head, names), strict=True)
            return {name: _stamp(meta) for name, meta in found if meta}

    def stamps(self, folder: str) -> dict[str, Stamp]:
        """Empty objects are left out: other tools mark folders with them, and raysweep writes none."""

        def whole() -> dict[str, Stamp]:
            pages = self._store.list(_at(folder) or None, chunk_size=PAGE)
            return {meta["path"]: _stamp(meta) for page in pages for meta in page if meta["size"]}

        return _answer(folder, whole)

    def _head(self, name: str) -> "ObjectMeta | None":
        with contextlib.suppress(FileNotFoundError):
            return _answer(name, lambda: self._store.head(_at(name)))
        return None


def _at(name: str) -> str:
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"{name!r} leaves the root")
    return name


def _stamp(meta: "ObjectMeta") -> Stamp:
    """Return a stamp. Some listings have times in more detail than what is said of a single object."""
    seconds = int(meta["last_modified"].timestamp())
    return Stamp(meta["size"], seconds * 10**9, meta["e_tag"] or "")


def _answer(name: str, request: Callable[[], Answer]) -> Answer:
    """Return the answer to a request. What the storage refuses is an `OSError` of one line.

    Where an answer is cut, obstore repeats the request for the content of an object alone: not for a listing,
    nor where the answer says why something is refused.
    """
    for left in reversed(range(READS)):
        try:
            return request()
        except (BaseError, FileNotFoundError) as error:
            if CUT in str(error) and left:
                continue
            kind = FileNotFoundError if isinstance(error, FileNotFoundError) else OSError
            raise kind(f"{name}: {_line(error)}") from error
    raise AssertionError  # the last attempt returns or raises


def _line(error: Exception) -> str:
    """Return what obstore says of an error, without details and in one line, after what it means."""
    text = " ".join(str(error).partition(DETAILS)[0].split())
    return "; ".join([*(hint for words, hint in HINTS.items() if words in text), text])


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
