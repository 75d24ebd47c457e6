"""Hidden units that a spec leaves in place, with the reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LeftAlone:
    """`units` hidden units that stay in place; `reason` names the operation that requires it.

    `axes` lists where they lie: the names of parameters and buffers, each with the number of the axis.
    """

    units: int
    reason: str
    axes: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        where = ", ".join(f"axis {dimension} of {name}" for name, dimension in self.axes)
        return f"{self.units} along {where}: {self.reason}"
