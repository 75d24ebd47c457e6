"""What a run tells whoever shows its progress."""

from typing import Any, Protocol


class Listener(Protocol):
    """Hears of the stages of a run."""

    def stage(self, name: str, total: int) -> None: ...
    def advance(self, stage: str, units: int) -> None: ...
    def failed(self, failure: dict[str, Any]) -> None: ...
