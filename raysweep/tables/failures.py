"""What could not be done, as rows of the table `failures`."""

import time
import traceback
from typing import Any


def failure(
    identity: str, what: str, error: BaseException | str, attempts: int, node: str = ""
) -> dict[str, Any]:
    """A row of the `failures` table."""
    text = error if isinstance(error, str) else "".join(traceback.format_exception(error))
    return {
        "id": identity,
        "what": what,
        "error": text,
        "attempts": attempts,
        "node": node,
        "time": time.time(),
    }
