"""What a run tells whoever shows its progress."""

import time
import traceback
from typing import Any, Protocol


class Listener(Protocol):
    """Hears of the stages of a run."""

    def stage(self, name: str, total: int) -> None: ...
    def waits(self, reason: str) -> None: ...
    def advance(self, stage: str, units: int) -> None: ...
    def failed(self, failure: dict[str, Any]) -> None: ...


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
