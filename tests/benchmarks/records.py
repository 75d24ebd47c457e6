"""What a benchmark found."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """One figure: a value per round, and the `goal` it is held against (None: none was set)."""

    name: str
    unit: str
    values: list[float]
    goal: float | None = None
    note: str = ""

    def __str__(self) -> str:
        spread = f" ({min(self.values):.4g} to {max(self.values):.4g})" if len(self.values) > 1 else ""
        goal = "" if self.goal is None else f", goal at most {self.goal:g}"
        note = f"; {self.note}" if self.note else ""
        middle = statistics.median(self.values)
        return f"{self.name}: {middle:.4g} {self.unit}{spread}, n = {len(self.values)}{goal}{note}"
