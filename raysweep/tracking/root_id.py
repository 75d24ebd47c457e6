"""An id of a root, by which a tracking server that several roots share tells them apart."""

import json
import uuid
from pathlib import Path

from raysweep.errors import UserError
from raysweep.store.files import CorruptObject, Files
from raysweep.store.lock import waiting_lock

RECORD = "root.json"


def root_id(files: Files) -> str:
    """Return the id of a root, which it gets when it is first tracked.

    A root that was moved keeps its id, so that it goes on in the same experiments. A copy gets an id of its
    own: what is recorded as its place is then another root, which has the same id.
    """
    with waiting_lock(files, ".id"):
        identity, place = _record(files)
        if identity is None or (place != files.root and _is_other(files, place, identity)):
            identity = uuid.uuid4().hex[:8]
        if (identity, files.root) != _record(files):
            files.put(RECORD, json.dumps({"id": identity, "root": files.root}).encode())
    return identity


def _record(files: Files) -> tuple[str | None, str]:
    """Return the id and the place that are recorded, or None and an empty text where none can be read."""
    try:
        found = json.loads(files.find(RECORD) or b"null")
        identity, place = str(found["id"]), str(found["root"])
    except (CorruptObject, KeyError, TypeError, ValueError):
        return None, ""
    return (identity, place) if identity.isalnum() and len(identity) == 8 else (None, "")


def _is_other(files: Files, place: str, identity: str) -> bool:
    """Whether there is another root of this id at a place; storage of another kind is not asked."""
    if (files.directory is None) != ("://" in place):
        return False
    if files.directory and Path(place).exists() and files.directory.samefile(place):
        return False
    try:
        return _record(Files(place))[0] == identity
    except (OSError, UserError):
        return False
