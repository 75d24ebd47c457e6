"""Rows of the table `failures`: work that could not be done."""

import time
import traceback
from typing import Any


def failure(
    identity: str, what: str, error: BaseException | str, attempts: int, node: str = ""
) -> dict[str, Any]:
    """Return a row of the table `failures`, with the time of the call."""
    text = error if isinstance(error, str) else "".join(traceback.format_exception(error))
    return {
        "id": identity,
        "what": what,
        "error": text,
        "attempts": attempts,
        "node": node,
        "time": time.time(),
    }
