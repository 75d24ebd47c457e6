"""Answers that take seconds to compute, kept on this machine's disk for later commands."""

import contextlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

from raysweep.digest import digest
from raysweep.store.node_cache import VARIABLE
from raysweep.version import code_digest


def facts_folder() -> Path:
    """Return `facts` in the folder that RAYSWEEP_CACHE names, or else in the user's own cache folder.

    An answer cannot be verified when it is read, so it must be kept where no other user can write.
    """
    given = os.environ.get(VARIABLE)
    return (Path(given) if given else Path.home() / ".cache" / "raysweep") / "facts"


def recall(question: Any) -> Any:
    """Return the answer that `remember` kept for a question, or None; both are JSON values.

    A question must contain everything that determines its answer, except the code of this package, which is
    added here.
    """
    try:
        kept = json.loads(_path(question).read_bytes())
    except (OSError, ValueError):
        return None
    return kept["answer"] if isinstance(kept, dict) and kept.get("question") == _plain(question) else None


def remember(question: Any, answer: Any) -> None:
    """Keep an answer. A disk that is full or read-only keeps nothing and raises no error."""
    path = _path(question)
    temporary = path.with_name(f"{uuid.uuid4().hex}.tmp")
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            temporary.write_text(json.dumps({"question": question, "answer": answer}))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _path(question: Any) -> Path:
    return facts_folder() / f"{digest([code_digest(), question])}.json"


def _plain(question: Any) -> Any:
    return json.loads(json.dumps(question))
