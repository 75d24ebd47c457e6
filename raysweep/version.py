"""Which code a process runs, and who handed out its work."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

CHECKOUTS = "RAYSWEEP_CHECKOUTS"  # `raysweep submit` sets it, because it sends no checkout


class CodeDiffers(Exception):
    """A worker runs another version of the code than the driver."""


def code_digest() -> str:
    """Return a hash of the package's source files."""
    return source_digest(Path(__file__).parent)


@lru_cache
def source_digest(folder: Path) -> str:
    """Return a hash of the Python files below a folder, as they are when it is first asked for."""
    sha = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        sha.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()[:16]


def check_code(expected: str) -> None:
    """Raise `CodeDiffers` when this process runs other code than the one with this digest."""
    if code_digest() != expected:
        raise CodeDiffers("this node has another version of raysweep than the driver; install the same one")


@dataclass(frozen=True)
class Driver:
    """The process that hands out work: its command line, its code, and two Git checkouts.

    `commit` is that of raysweep's own code, and `folder_commit` that of the folder in which the command was
    given, where sweep files and users' modules lie. They are None outside of a checkout; `dirty` says whether
    tracked files differ from the commit.
    """

    command: str
    code: str
    commit: str | None
    dirty: bool | None
    folder_commit: str | None
    folder_dirty: bool | None


@lru_cache(maxsize=1)
def driver() -> Driver:
    """Return what is known of this process as a driver."""
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return Driver(command, code_digest(), *checkouts())


def checkouts() -> tuple[str | None, bool | None, str | None, bool | None]:
    """Return the commits that a `Driver` names; of a submitted job, those where it was submitted."""
    if CHECKOUTS in os.environ:
        commit, dirty, folder_commit, folder_dirty = json.loads(os.environ[CHECKOUTS])
        return commit, dirty, folder_commit, folder_dirty
    return (*checkout(Path(__file__)), *checkout(Path.cwd()))


def checkout(path: Path) -> tuple[str | None, bool | None]:
    """Return the commit of the checkout that tracks a file or holds a folder, and whether it is dirty."""
    folder = path if path.is_dir() else path.parent
    if not path.is_dir() and _git(folder, "ls-files", "--error-unmatch", path.name) is None:
        return None, None  # the checkout around an installed package is another project's
    commit, changes = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain", "-uno")
    return commit, None if commit is None or changes is None else bool(changes)


def _git(folder: Path, *words: str) -> str | None:
    """Return what Git prints; None where it fails or is missing."""
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
