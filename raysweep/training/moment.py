"""A moment of training: one type for optimiser steps and for epochs."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from raysweep.choices import choose

_TEXT = re.compile(r"((?:0|[1-9]\d*)(?:\.\d+)?)\s*(ep|epochs?|st|steps?)?")
FORMS = "a number of epochs (3, 0.5), '3ep' or '200st'"


@dataclass(frozen=True)
class Moment:
    """A count of epochs, which may be fractional, or of whole optimiser steps."""

    count: float
    unit: Literal["ep", "st"] = "ep"

    @staticmethod
    def parse(value: object) -> "Moment":
        """Read 3 or '3ep' (epochs) or '200st' (steps). Raises `ValueError`."""
        if isinstance(value, Moment):
            return value
        match = None if isinstance(value, bool) else _TEXT.fullmatch(str(value).strip())
        if match is None:
            raise ValueError(f"expected {FORMS}")
        count = float(match[1])
        unit: Literal["ep", "st"] = "st" if (match[2] or "ep").startswith("s") else "ep"
        if unit == "st" and count != int(count):
            raise ValueError("a step is a whole number")
        return Moment(count, unit)

    def step(self, per_epoch: int) -> int:
        """Return the optimiser step of this moment in a run with `per_epoch` steps per epoch."""
        return round(self.count * choose("unit of time", self.unit, {"ep": per_epoch, "st": 1}))

    def __str__(self) -> str:
        """Write all digits without an exponent, because ids tell moments apart by this text."""
        digits = f"{Decimal(repr(self.count)):f}"
        return f"{digits.removesuffix('.0')}{self.unit}"


def steps_per_epoch(examples: int, batch_size: int, drop_last: bool) -> int:
    """Return the number of batches in an epoch; `drop_last` leaves out a smaller last batch."""
    return examples // batch_size if drop_last else -(-examples // batch_size)
