"""Facts that take seconds to find out, kept on this machine for the next command."""

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
    """`facts` in the folder that RAYSWEEP_CACHE names, else in the user's own cache.

    Nothing can check a fact by itself, so it lies where nobody else may write.
    """
    given = os.environ.get(VARIABLE)
    return (Path(given) if given else Path.home() / ".cache" / "raysweep") / "facts"


def recall(question: Any) -> Any:
    """Return the JSON-like answer that `remember` kept, None where there is none.

    A question holds all that its answer depends on but the code of this package, which belongs to each.
    """
    try:
        kept = json.loads(_path(question).read_bytes())
    except (OSError, ValueError):
        return None
    return kept["answer"] if isinstance(kept, dict) and kept.get("question") == _plain(question) else None


def remember(question: Any, answer: Any) -> None:
    """Keep an answer; a disk that is full or cannot be written keeps none, and nothing fails."""
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
