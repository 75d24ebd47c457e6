"""Which code a process runs."""

import hashlib
from functools import lru_cache
from pathlib import Path


class CodeDiffers(Exception):
    """A worker runs another version of the code than the driver."""


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return a hash of the package's source files."""
    root = Path(__file__).parent
    sha = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        sha.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()[:16]


def check_code(expected: str) -> None:
    """Raise `CodeDiffers` when this process runs other code than the one with this digest."""
    if code_digest() != expected:
        raise CodeDiffers("this node has another version of raysweep than the driver; install the same one")
